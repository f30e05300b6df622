"""What an analysis holds unless something else is asked for, on the page, the command line and the API alike."""

EXPLANATIONS = ("relevance", "grad_cam")  # made in a few passes, and able to tell two classes apart
