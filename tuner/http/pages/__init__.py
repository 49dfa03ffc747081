"""The pages for people: the same functions as the API's, as HTML that the server renders."""
