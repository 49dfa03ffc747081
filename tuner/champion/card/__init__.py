"""What an export says of itself: its card as data and in Markdown, with pictures."""
