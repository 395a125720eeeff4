"""The test classes that dbt publishes for adapters (dbt-tests-adapter), run with dbt-materialize against a service: see `__main__`.

Not part of the suite: a class takes several seconds, and there are about a hundred.
"""
