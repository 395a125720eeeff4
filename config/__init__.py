"""One YAML file to typed settings.

In: the text of the file and the environment. Out: `Settings`, or every mistake at once with file, line and column.
Absent on purpose: no connections, no SQL, no knowledge of the other rooms.
"""
