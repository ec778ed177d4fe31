# Every target installs what it needs first, and says so.
.PHONY: help demo test test-all test-clients lint bench bench-images fuzz install schema clean setup
SHELL := /bin/bash

help:
	@echo "make demo         a throwaway server with the extension, and the README's session on it"
	@echo "make test         formatting, lints, all tests, on Postgres 15"
	@echo "make test-all     the tests on Postgres 15, 16, 17 and 18, each in the Debian that has it; needs root"
	@echo "make test-clients the clients of docs/clients.md: psycopg, SQLAlchemy, Django, JDBC, PostgREST"
	@echo "make bench        the figures of the README"
	@echo "make bench-images decoding and hashing of real pictures"
	@echo "make fuzz         the parsers against random input; SECONDS_EACH=60 by default"
	@echo "make install      into the Postgres whose pg_config is on the path (or PG_CONFIG=...)"
	@echo "make schema       writes sql/generated/ anew after a change under sql/"
	@echo "make lint, make clean"

setup:
	@scripts/setup

demo: setup
	@scripts/install-private && scripts/demo

test: setup
	@scripts/test

test-all: setup
	@scripts/test-all

test-clients: setup
	@scripts/install-private && scripts/test-clients

lint: setup
	@scripts/lint

bench: setup
	@scripts/install-private && scripts/bench

bench-images: setup
	@scripts/bench-images

fuzz: setup
	@scripts/fuzz

schema: setup
	@scripts/schema

install:
	@scripts/install

clean:
	@rm -rf target fuzz/target
