// What the form can do without a button: the fields of a kind of data, and that a launch takes a while.
"use strict";

const form = document.getElementById("launch");
const kind = document.getElementById("kind");
const SPACES = { image_directory: "image", text_directory: "text", csv: "structured" };

if (kind) {
  const space = document.getElementById("space");
  let isChosen = false;
  space.addEventListener("change", () => { isChosen = true; });
  document.getElementById("show-fields").hidden = true;
  kind.addEventListener("change", () => {
    for (const fields of document.querySelectorAll("[data-kind]")) {
      fields.hidden = fields.disabled = fields.dataset.kind !== kind.value;
    }
    // What somebody chose stays.
    if (!isChosen && SPACES[kind.value] && Object.values(SPACES).includes(space.value)) space.value = SPACES[kind.value];
  });
}

form.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || !button.dataset.busy) return;
  // What is disabled is not sent: after the browser has put the form together.
  setTimeout(() => {
    button.textContent = button.dataset.busy;
    button.setAttribute("aria-live", "polite");
    for (const each of form.querySelectorAll("button")) each.disabled = true;
  });
});

// A page that comes back from the browser's memory is not busy any more.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
