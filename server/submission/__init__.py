"""From a request to a job: read its body, check the prompt in it, give it an id and a place."""
