"""Run a notebook truthfully: typed parameters, one kernel, a record that says what happened.

parameters   what a runbook may be given, from the syntax tree of its parameters cell
catalogue    the runbooks there are
leaks        secrets of the settings, found wherever they must not be
record       the folder a run leaves, written so that a crash leaves it readable
session      what a notebook calls: begin, note, keep, close
kernels      kernels over private sockets, the next one started ahead
engine       papermill's engine `afdb`, and `execute`
lint         thin cells
"""
