"""Small changes to the reference answers, each judged by its suite: `nox -s mutants`."""
