# Every target installs what it needs first, and says so.
.PHONY: help demo demo-stop session test test-all test-clients lint bench bench-images bench-quality bench-originals fuzz install schema docker test-docker gpu-check tree clean setup
SHELL := /bin/bash

help:
	@echo "make demo         real photographs imported, their duplicates in the terminal and as a page; PHOTOS=dir"
	@echo "make demo-stop    ends the server of the demo and removes everything"
	@echo "make session      a throwaway server with the extension, and the README's session on it"
	@echo "make test         formatting, lints, all tests on Postgres 15; the type, the index, bulk search on 18"
	@echo "make test-all     the tests on Postgres 15, 16, 17 and 18, each in the Debian that has it; needs root"
	@echo "make test-clients the clients of docs/clients.md: psycopg, SQLAlchemy, Django, JDBC, PostgREST"
	@echo "make bench        the figures of docs/benchmarks.md"
	@echo "make bench-images decoding and hashing of real pictures"
	@echo "make bench-quality how many altered copies the pair rules find, and how often they are wrong"
	@echo "make bench-originals whether an original is kept, or a copy that was made of it"
	@echo "make fuzz         the parsers against random input; SECONDS_EACH=60 by default"
	@echo "make install      into the Postgres whose pg_config is on the path (or PG_CONFIG=...)"
	@echo "make docker       the image lumina:15, with Docker; VARIANT=16, 17, 18 or cuda for others"
	@echo "make test-docker  builds the image with podman and tests it; needs root"
	@echo "make gpu-check    packs a check of the GPU that needs nothing but itself, and runs it where there is one"
	@echo "make tree         the files of the extension below target/tree, for the Postgres of pg_config (or PG_CONFIG=...)"
	@echo "make schema       writes sql/generated/ again after a change under sql/"
	@echo "make lint, make clean"

setup:
	@scripts/setup

demo: setup
	@scripts/install-private && scripts/demo

demo-stop:
	@scripts/demo stop

session: setup
	@scripts/install-private && scripts/session

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

bench-quality: setup
	@scripts/bench-quality

bench-originals: setup
	@scripts/bench-originals

fuzz: setup
	@scripts/fuzz

schema: setup
	@scripts/schema

install:
	@scripts/install

docker:
	@docker/build $(VARIANT)

test-docker:
	@scripts/test-docker $(VARIANT)

gpu-check: setup
	@scripts/install-private && scripts/gpu-check

tree:
	@docker/build-extension target/tree

clean:
	@rm -rf target fuzz/target
