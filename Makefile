# `make demo` and `make test` do all the set-up that they need; see scripts/setup.
.DEFAULT_GOAL := help
.PHONY: help demo test soak bench clients fuzz broker broker-stop setup onnxruntime

help:
	@echo "make demo    a minute of agent traffic with attacks, in the terminal; no broker needed"
	@echo "make test    everything that must hold: format, lints, documentation, licences, tests on a real broker"
	@echo "make bench   throughput and latency beside a bare transactional forward, on a real broker"
	@echo "make soak    kill, stop, scale and restart for SOAK_MINUTES (default 30) on a real broker"
	@echo "make clients runs the example clients (Python, Node) against a broker and weir run"
	@echo "make fuzz    each fuzz target for FUZZ_SECONDS (default 60)"
	@echo "make onnxruntime  puts the library that the classifier needs where Weir looks for it"
	@echo "make broker  starts a broker for tests by hand and prints its address; make broker-stop ends it"

setup:
	@scripts/setup build

demo: setup
	cargo run --locked --quiet -- demo

test:
	@scripts/test

soak:
	@scripts/soak

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
