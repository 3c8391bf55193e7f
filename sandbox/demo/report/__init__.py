"""What a run leaves behind: judgement, summary, picture, page."""
