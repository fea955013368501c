# `make demo` and `make test` do all the set-up that they need; see scripts/setup.
.DEFAULT_GOAL := help
.PHONY: help demo test soak streams bench clients fuzz broker broker-stop setup onnxruntime train train-loso train-check

help:
	@echo "make demo    a minute of agent traffic with attacks, in the terminal; no broker needed"
	@echo "make test    everything that must hold: format, lints, documentation, licences, tests on a real broker"
	@echo "make bench   throughput and latency beside a bare transactional forward, on a real broker"
	@echo "make soak    kill, stop, scale and restart for SOAK_MINUTES (default 30) on a real broker"
	@echo "make streams STREAM_CASES (default 100000) random texts of each kind, in pieces and whole; STREAM_TEXTS=FOLDER for its texts, too"
	@echo "make clients runs the example clients (Python, Node) against a broker and weir run"
	@echo "make fuzz    each fuzz target for FUZZ_SECONDS (default 60)"
	@echo "make onnxruntime  puts the library that the classifier needs where Weir looks for it"
	@echo "make broker  starts a broker for tests by hand and prints its address; make broker-stop ends it"
	@echo "make train   trains our own classifier (models/train/README.md); make train-loso measures it on sources left out;"
	@echo "             make train-check looks over its corpus"

setup:
	@scripts/setup build

demo: setup
	cargo run --locked --quiet -- demo

test:
	@scripts/test

soak:
	@scripts/soak

streams:
	@scripts/streams

bench:
	@scripts/bench

clients:
	@scripts/setup build
	cargo build --locked --quiet
	@scripts/clients

fuzz:
	@scripts/fuzz

onnxruntime:
	@scripts/onnxruntime

broker:
	@scripts/setup test
	@scripts/kafka start

broker-stop:
	@scripts/kafka stop

# PUBLIC names the public sets that are trained and measured on beside our own corpus, see models/train/README.md.
PUBLIC ?=
WEIR ?= target/release/weir
TRAIN := models/train/.venv/bin/python -u models/train

train:
	@models/train/setup
	$(TRAIN)/final.py $(if $(PUBLIC),--public $(PUBLIC))
	$(TRAIN)/measure.py $(if $(PUBLIC),--public $(PUBLIC)) --weir $(WEIR)

train-loso:
	@models/train/setup
	$(TRAIN)/loso.py $(if $(PUBLIC),--public $(PUBLIC)) --weir $(WEIR) $(LOSO)

train-check:
	@models/train/setup
	cd models/train && .venv/bin/python -m doctest windows.py metrics.py
	$(TRAIN)/check.py
