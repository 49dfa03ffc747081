"""Which of the trials is the champion: scored again, averaged, trained again."""
