"""How findings are shown: one place for every command, one form per way of reading them.

text      for people: location, code, message, a way out
json      for programs: findings.schema.json says what is in it
sarif     for code scanning: SARIF 2.1.0
github    for the log of a GitHub workflow, which turns it into annotations
junit     for CI systems that show test results: JUnit XML
"""
