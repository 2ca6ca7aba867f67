# The commands of daily work. Everything real is in tools/ and in the command line.
.PHONY: demo test fast lint wheel clean

demo:
	python3 tools/demo.py

test:
	python3 tools/test.py

fast:
	python3 tools/test.py --fast

lint:
	.venv/bin/python -m ruff check . && .venv/bin/python -m mypy

wheel:
	.venv/bin/python -m pip wheel --no-deps -w dist .

clean:
	rm -rf build dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis
