"""The types of what programs print as JSON, and of the JSON files of a study.

The schemas and the tables of docs/reference/json.md are made of them; tests compare them with real output.
"""
