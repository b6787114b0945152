# pgautofailover: the modules of the servers are built here by PGXS, pg_autoctl and the unit tests by CMake.
#
#   make demo          two nodes on this machine: switchover, failover, summary (KEEP=1 leaves them running)
#   make test          every test
#   make               both modules and pg_autoctl
#   make install       as a package would lay it out (DESTDIR is respected)
#   make package       a package for Debian, in build/package
#   make campaign      random faults on three real nodes (ROUNDS=300)
#   make simulate      more seeds of the simulation (SEEDS=10000)
#   make mutants       breaks COUNT=100 places of the sources, one at a time, and shows which tests notice
#   make bench         the measurements of the README

EXTENSION   = extension/pgautofailover
DATA        = $(wildcard sql/pgautofailover--*.sql)
MODULE_big  = pgautofailover
CORE_OBJS   = $(patsubst %.cpp,%.o,$(wildcard keeper/src/core/*.cpp))
PG_OBJS     = $(patsubst %.cpp,%.o,$(wildcard keeper/src/pg/*.cpp))
OBJS        = $(patsubst %.cpp,%.o,$(wildcard extension/*.cpp extension/api/*.cpp extension/store/*.cpp \
                extension/facts/*.cpp extension/health/*.cpp)) $(PG_OBJS) $(CORE_OBJS)
WORKER_SO   = bgworker/pgautofailover_keeper.so
WORKER_OBJS = $(patsubst %.cpp,%.o,$(wildcard bgworker/*.cpp keeper/src/worker/*.cpp keeper/src/tls/*.cpp))

# PGXS would also compile bitcode, with clang's default standard instead of ours.
override with_llvm := no

PG_CONFIG  ?= pg_config
PG_MAJOR   := $(shell $(PG_CONFIG) --version 2>/dev/null | sed 's/[^0-9]*\([0-9]*\).*/\1/')
# Debian's PGXS does not track headers; -MMD does. -isystem silences warnings in server headers.
PG_CPPFLAGS = -Ikeeper/include -Ikeeper/src -Iextension -Ibgworker -MMD -MP \
              -isystem $(shell $(PG_CONFIG) --includedir-server 2>/dev/null) \
              -isystem $(shell $(PG_CONFIG) --includedir 2>/dev/null)
ifneq ($(filter 14 15,$(PG_MAJOR)),)
PG_CPPFLAGS += -DPGDLLEXPORT='__attribute__((visibility("default")))'
endif
PG_CXXFLAGS = -std=c++20 -fvisibility=hidden -fvisibility-inlines-hidden -Wall -Wextra -Werror -Wno-register
SHLIB_LINK  = -lstdc++ -Wl,--version-script=extension/exports.map

REGRESS        = $(patsubst sql_tests/sql/%.sql,%,$(sort $(wildcard sql_tests/sql/*.sql)))
REGRESS_OPTS   = --inputdir=sql_tests --outputdir=. --temp-config=sql_tests/regress.conf
ISOLATION      = $(patsubst sql_tests/specs/%.spec,%,$(wildcard sql_tests/specs/*.spec))
ISOLATION_OPTS = --inputdir=sql_tests --outputdir=.
DEPS        = $(patsubst %.o,%.d,$(OBJS) $(WORKER_OBJS)) $(wildcard build/bench/*.d)
EXTRA_CLEAN = $(WORKER_SO) $(WORKER_OBJS) $(DEPS) build

PGXS       := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(PGXS),)
include $(PGXS)
all: $(WORKER_SO) pg_autoctl
install: install-worker install-programs
uninstall: uninstall-worker uninstall-programs
else
# Without PostgreSQL's development files only the targets that install them first can be made.
all install:
	@echo 'error: pg_config was not found' >&2
	@echo 'HINT:  Run "make deps", or set PG_CONFIG=/path/to/pg_config.' >&2
	@exit 1
endif

$(WORKER_SO): $(WORKER_OBJS) $(PG_OBJS) $(CORE_OBJS) bgworker/exports.map
	$(CXX) -shared -o $@ $(filter %.o,$^) -Wl,--version-script=bgworker/exports.map \
	  $(LDFLAGS) $(LDFLAGS_SL) $(libpq) -lssl -lcrypto -lstdc++

modules: all-lib $(WORKER_SO)

# Only for bench/gate.py: the keeper's module with a gate that is on and off by turns. Never installed.
BENCH_SO    = build/bench/pgautofailover_keeper.so
BENCH_OBJS  = $(patsubst bgworker/%.o,build/bench/%.o,$(filter bgworker/%,$(WORKER_OBJS))) \
              $(filter-out bgworker/%,$(WORKER_OBJS))
bench-module: $(BENCH_SO)
build/bench/%.o: bgworker/%.cpp
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) $(CPPFLAGS) -DPGAF_BENCH_ALTERNATE_GATE -c -o $@ $<
$(BENCH_SO): $(BENCH_OBJS) $(PG_OBJS) $(CORE_OBJS) bgworker/exports.map
	$(CXX) -shared -o $@ $(filter %.o,$^) -Wl,--version-script=bgworker/exports.map \
	  $(LDFLAGS) $(LDFLAGS_SL) $(libpq) -lssl -lcrypto -lstdc++

# Without the tests and their tools, unless PROGRAMS=all.
PROGRAMS   ?= pg_autoctl
pg_autoctl:
	cmake -S . -B build/cmake -DCMAKE_BUILD_TYPE=Release $(CMAKE_OPTIONS)
	cmake --build build/cmake --target $(PROGRAMS) --parallel $$(nproc)

install-worker: $(WORKER_SO)
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)'
	$(INSTALL_SHLIB) $< '$(DESTDIR)$(pkglibdir)/$(notdir $<)'
install-programs: pg_autoctl
	$(MKDIR_P) '$(DESTDIR)$(bindir)' '$(DESTDIR)/usr/share/man/man1'
	$(INSTALL_PROGRAM) build/cmake/pg_autoctl '$(DESTDIR)$(bindir)/pg_autoctl'
	for page in docs/man/*.1; do [ ! -e "$$page" ] || $(INSTALL_DATA) "$$page" '$(DESTDIR)/usr/share/man/man1/'; done
uninstall-worker:
	rm -f '$(DESTDIR)$(pkglibdir)/$(notdir $(WORKER_SO))'
uninstall-programs:
	rm -f '$(DESTDIR)$(bindir)/pg_autoctl'

deps:
	tools/install-deps.sh
demo: deps
	tools/demo.sh
test: deps
	tools/test.sh
package:
	tools/package.sh
campaign: deps
	tools/campaign.sh

simulate: PROGRAMS = pgaf_simulate
simulate: pg_autoctl
	build/cmake/pgaf_simulate --known keeper/sim/known_faults.txt --first now --seeds $(or $(SEEDS),10000)
mutants:
	/usr/bin/python3 tools/mutate.py --count $(or $(COUNT),100)
bench: deps
	tools/bench.sh

.PHONY: campaign simulate mutants package modules bench-module pg_autoctl install-worker install-programs uninstall-worker uninstall-programs deps demo test bench
-include $(DEPS)
