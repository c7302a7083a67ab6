"""What a person types: one command for all domains, its verbs and flags made from the pipelines' own fields."""
