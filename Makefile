# clustering: a PostgreSQL extension, built with PGXS.  doc/development.md explains the targets.

# The extension may be built in another folder: make -f /path/to/Makefile.  Tests run in this one.
SOURCE := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))
sources = $(patsubst $(SOURCE)/%,%,$(sort $(wildcard $(addprefix $(SOURCE)/,$(1)))))

EXTENSION = clustering
MODULE_big = clustering
DATA = $(call sources,sql/clustering--*.sql)

CORE_OBJS = $(patsubst %.c,%.o,$(call sources,src/core/*.c))
PG_OBJS = $(patsubst %.c,%.o,$(call sources,src/pg/*.c))
OBJS = $(CORE_OBJS) $(PG_OBJS)

CORE_HEADERS = $(call sources,src/core/*.h)
PG_HEADERS = $(call sources,src/pg/*.h)

# --inputdir=test finds test/sql/*.sql and the top-level expected/*.out on every version.
REGRESS = $(sort $(notdir $(basename $(wildcard test/sql/*.sql))))
REGRESS_OPTS = --inputdir=test --load-extension=$(EXTENSION)

PROVE_TESTS := $(sort $(wildcard test/t/*.pl))
TAP_TESTS := $(if $(PROVE_TESTS),1)

# A notice of how far a fit is appears where the machine is slow.
installcheck: export PGOPTIONS += -c clustering.progress_interval=0

EXTRA_CLEAN = build

# ---- flags, each under its reason ----

# Results may not depend on the CPU or the compiler: a * b + c is two roundings unless the source
# says fma.  Both compilers contract by default, in every GNU dialect of C.
EXACT_FLAGS = -ffp-contract=off

# These change no value, only what the compiler must assume about errno and floating point traps;
# without them sqrt is a call and a loop with a comparison is not vectorised.
FAST_MATH_THAT_IS_EXACT = -fno-math-errno -fno-trapping-math

# -O3: the kernels are plain loops over a fixed number of partial sums, and gcc unrolls and
# vectorises such loops fully at -O3 only.  src/pg has one such loop as well, over the elements of
# an array, and is otherwise too small for it to matter.
OPTIMISE = -O3 $(FAST_MATH_THAT_IS_EXACT)

# The server's own code needs -fwrapv and -fno-strict-aliasing, and its makefiles ask for them.  The core
# doesn't (its tests run under the sanitizer for undefined behaviour), and is faster without: a sum
# of ints that may wrap can't be part of an address.
CORE_FLAGS = -fno-wrapv -fstrict-aliasing

# Declarations stand where the values are known, as C has had it since 1999.
WARNINGS = -Wall -Wextra -Wno-declaration-after-statement $(if $(WERROR),-Werror)

# The server's flags are those of the compiler it was built with, most often gcc.
CLANG_WARNINGS = $(if $(findstring clang,$(shell $(CC) --version)), \
	-Wno-unknown-warning-option -Wno-ignored-optimization-argument)

PG_CPPFLAGS += -I$(SOURCE)/src/core -I$(SOURCE)/src/pg
PG_CFLAGS += -std=gnu11 $(OPTIMISE) $(EXACT_FLAGS) $(WARNINGS) $(CLANG_WARNINGS)
SHLIB_LINK += -lm

# ---- the server's makefiles ----

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)

# Without them all that needs no server still works: test and demo install what is missing.
ifneq ($(wildcard $(PGXS)),)
include $(PGXS)

# The core sees its own headers alone, so an include of a server header there does not compile.
# Its names are protected: no other library's can take their place, and calls among them are direct.
# They are not hidden, because the JIT may inline a function of src/pg into a query, looks up by
# name what it calls in the core, and ends the session where it finds nothing.
$(CORE_OBJS) $(CORE_OBJS:.o=.bc): override CPPFLAGS := -I$(SOURCE)/src/core $(filter-out -I%,$(CPPFLAGS))
$(CORE_OBJS): override CFLAGS += -fvisibility=protected $(CORE_FLAGS)

# Warnings are about this project's lines: the server's headers are not made for -Wextra, nor, where
# gcc built the server, for clang.
$(PG_OBJS) $(PG_OBJS:.o=.bc): override CPPFLAGS := $(patsubst -I/%,-isystem /%,$(CPPFLAGS))

# PGXS does not hand PG_CFLAGS to the compiler of the JIT's bitcode.
BITCODE_CFLAGS += -std=gnu11 $(EXACT_FLAGS) $(FAST_MATH_THAT_IS_EXACT)

$(OBJS) $(OBJS:.o=.bc): Makefile $(CORE_HEADERS)
$(PG_OBJS) $(PG_OBJS:.o=.bc): $(PG_HEADERS)

# VPATH would find the folders of the source.
ifneq ($(SOURCE),.)
$(shell mkdir -p src/core src/pg)
endif

# The TAP tests alone; installcheck runs them after the SQL tests.
.PHONY: prove_installcheck
prove_installcheck:
	$(prove_installcheck)
else
.PHONY: all install installcheck prove_installcheck clean
all install installcheck prove_installcheck:
	@echo 'No PostgreSQL development files found: set PG_CONFIG, or see "make test".' >&2; exit 1
clean:
	rm -rf $(OBJS) $(OBJS:.o=.bc) $(MODULE_big).so $(EXTRA_CLEAN)
endif

# ---- the core without a server ----

# Under the sanitizers, with clang also under that for memory, or with SANITIZE= exactly as it is shipped.
# gcc doesn't count conversions that overflow integers to what is undefined, clang does.
SANITIZE = address,undefined,float-cast-overflow
UNIT_FLAGS = $(if $(SANITIZE), \
	-O2 -fno-omit-frame-pointer -fsanitize=$(SANITIZE) -fno-sanitize-recover=all, $(OPTIMISE))
UNIT = build/unit$(if $(SANITIZE),$(if $(filter memory,$(SANITIZE)),-memory),-plain)
UNIT_COMPILE = $(CC) -std=gnu11 -g $(UNIT_FLAGS) $(EXACT_FLAGS) $(WARNINGS) -Isrc/core
UNIT_CORE_OBJS = $(CORE_OBJS:src/core/%=$(UNIT)/core/%)
UNIT_TESTS = $(patsubst test/unit/%.c,$(UNIT)/%,$(sort $(wildcard test/unit/*.c)))

.PHONY: unit
unit: $(UNIT_TESTS)
	$(if $(SANITIZE),,$(MAKE) build/bench/peak)
	prove $(PROVE_FLAGS) --exec '' $(UNIT_TESTS)

$(UNIT)/core/%.o: src/core/%.c $(CORE_HEADERS) Makefile
	@mkdir -p $(@D)
	$(UNIT_COMPILE) -c -o $@ $<

$(UNIT)/core.a: $(UNIT_CORE_OBJS)
	@rm -f $@
	$(AR) rcs $@ $^

$(UNIT)/%: test/unit/%.c $(wildcard test/unit/*.h) $(UNIT)/core.a Makefile
	$(UNIT_COMPILE) -pthread -o $@ $< $(UNIT)/core.a -lm

# ---- fuzzing the core: inputs that clang's libFuzzer makes up ----

# How long each target runs, how many at a time is make's affair.  A fault leaves its input in build/fuzz.
FUZZ_SECONDS = 5
FUZZ_CC = clang
FUZZ = build/fuzz
FUZZ_COMPILE = $(FUZZ_CC) -std=gnu11 -g -O2 -fno-omit-frame-pointer -fno-sanitize-recover=all \
	$(EXACT_FLAGS) $(WARNINGS) -Isrc/core -Itest/unit
FUZZ_SANITIZE = address,undefined,float-cast-overflow
FUZZ_CORE_OBJS = $(CORE_OBJS:src/core/%=$(FUZZ)/core/%)
FUZZ_TARGETS = $(patsubst test/fuzz/%.c,$(FUZZ)/%,$(sort $(wildcard test/fuzz/fuzz_*.c)))

.PHONY: fuzz fuzz-corpus
fuzz: $(FUZZ_TARGETS)
	test/scripts/fuzz.sh $(FUZZ_SECONDS) $(FUZZ_TARGETS)

fuzz-corpus: $(UNIT)/seeds
	$< test/fuzz/corpus

$(FUZZ)/core/%.o: src/core/%.c $(CORE_HEADERS) Makefile
	@mkdir -p $(@D)
	$(FUZZ_COMPILE) -fsanitize=fuzzer-no-link,$(FUZZ_SANITIZE) -c -o $@ $<

$(FUZZ)/core.a: $(FUZZ_CORE_OBJS)
	@rm -f $@
	$(AR) rcs $@ $^

$(FUZZ)/%: test/fuzz/%.c $(wildcard test/fuzz/*.h test/unit/*.h) $(FUZZ)/core.a Makefile
	$(FUZZ_COMPILE) -fsanitize=fuzzer,$(FUZZ_SANITIZE) -o $@ $< $(FUZZ)/core.a -lm

$(UNIT)/seeds: test/fuzz/seeds.c $(wildcard test/unit/*.h) $(UNIT)/core.a Makefile
	$(UNIT_COMPILE) -Itest/unit -o $@ $< $(UNIT)/core.a -lm

# The kernels beside the machine's peak, compiled as they are shipped; test/bench/run runs it.
build/bench/peak: test/bench/peak.c $(wildcard src/core/*.c) $(CORE_HEADERS) Makefile
	@mkdir -p $(@D)
	$(MAKE) SANITIZE= build/unit-plain/core.a
	$(CC) -std=gnu11 $(OPTIMISE) $(EXACT_FLAGS) $(WARNINGS) -Isrc/core -o $@ $< \
		build/unit-plain/core.a -lm

# ---- everything, on a machine that has nothing but make ----

.PHONY: test matrix check-assertions check-sanitizers demo bench
test:
	@test/scripts/sandbox.sh test/scripts/run-tests.sh

# The same on other versions of PostgreSQL, and on a server that checks more; these take long.
matrix:
	@test/scripts/matrix.sh

check-assertions:
	@test/scripts/checked-server.sh assertions

check-sanitizers:
	@test/scripts/checked-server.sh sanitizers

demo:
	@test/scripts/sandbox.sh test/demo/demo.sh

bench:
	test/bench/run

.PHONY: format format-check
format:
	@test/scripts/format.sh

format-check:
	@test/scripts/format.sh --check
