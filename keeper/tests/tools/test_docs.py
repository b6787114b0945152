"""Each command that a page shows is run by a test: whole pages as they stand, others by the tests that are named here.

Who writes a command into a page finds it missing here, and adds the test that runs it."""
import pathlib
import re

import pytest

TOP = pathlib.Path(__file__).resolve().parents[3]
TESTS = TOP / "keeper/tests"
# Blocks marked as sh: run as they stand, by a test that reads the page.
WHOLE = {
    "tutorial.md": "cli/test_tutorial.py",
    "operations.md": "cli/test_operations.py",
    "configuration.md": "cluster/test_docs.py",
    "uninstall.md": "cluster/test_leave.py",
    "azure.md": "azure/test_azure_docs.py",
    "http.md": "cluster/test_http.py",
}
# Configuration of other programs: no commands. The same test runs that of HAProxy.
NO_COMMANDS = ("haproxy", "yaml")
# Other blocks, line by line: the test, and words of it.
ELSEWHERE = {
    "operations.md": {
        "pg_autoctl enable monitor ": ("cluster/test_memory.py", '"enable", "monitor", cluster.monitor_uri()'),
        "psql -d pg_auto_failover -c 'CREATE EXTENSION pgautofailover CASCADE'":
            ("cluster/test_memory.py", '"CREATE EXTENSION pgautofailover CASCADE", dbname="pg_auto_failover"'),
    },
    "security.md": {
        r"psql -d pg_auto_failover -c '\password autoctl_operator'": ("cluster/test_secrets.py", "type_password(m, \"autoctl_node\""),
        'psql -d pg_auto_failover -c "CREATE ROLE alice LOGIN"': ("cluster/test_security.py", 'typed(m, "CREATE ROLE alice")'),
        'psql -d pg_auto_failover -c "ALTER SYSTEM SET pgautofailover.node_role_may_order':
            ("cluster/test_security.py", 'typed(m, "node_role_may_order")'),
        "echo postgres | sudo tee /etc/pg_autoctl.user": ("azure/test_azure_tutorial.py", "echo postgres | sudo tee /etc/pg_autoctl.user"),
        "systemctl enable --now": ("cluster/test_systemd.py", "systemctl enable --now"),
        "pg_autoctl create postgres --auth cert": ("cluster/test_certificates.py", "--replication-cert"),
        r"psql -d pg_auto_failover -c '\password autoctl_node'": ("cluster/test_secrets.py", "type_password(m, \"autoctl_node\""),
        "pg_autoctl config set pg_autoctl.monitor ": ("cluster/test_secrets.py", '"config", "set", "pg_autoctl.monitor"'),
        r"psql -c '\password pgautofailover_replicator'": ("cluster/test_secrets.py", 'type_password(a, "pgautofailover_replicator"'),
        "pg_autoctl config set replication.password ": ("cluster/test_secrets.py", '"config", "set", "replication.password"'),
        "cd ~/.local/share/pg_autoctl/PGDATA": ("cluster/test_secrets.py", '.local/share/**/secret'),
        "(umask 077; { openssl rand -hex 24; head -n 1 secret; } > secret.new && mv secret.new secret)":
            ("cluster/test_secrets.py", "(umask 077; { openssl rand -hex 24; head -n 1 secret; } > secret.new && mv secret.new secret)"),
        "pg_autoctl reload": ("cluster/test_secrets.py", 'autoctl(node, "reload")'),
        "pg_autoctl config set monitor.fingerprint OLD,NEW": ("cluster/test_security.py", '"config", "set", "monitor.fingerprint", f"{old},{new}"'),
        "mv new.key server.key && mv new.crt server.crt && pg_autoctl reload": ("cluster/test_security.py", "use_certificate("),
        "pg_autoctl config set monitor.fingerprint NEW": ("cluster/test_security.py", '"config", "set", "monitor.fingerprint", new)'),
    },
}
PAGES = sorted(path.name for path in (TOP / "docs").glob("*.md"))


def blocks(page):
    return re.findall(r"^```(\w*)\n(.*?)^```", (TOP / "docs" / page).read_text(), flags=re.DOTALL | re.MULTILINE)


def commands(block):
    """Its lines, those that are continued put together; a drawing has none."""
    lines = block.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not re.search(r"\+-{5}|^ *\|| \|$", line)]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_is_run(page):
    named = ELSEWHERE.get(page, {})
    used = set()
    for kind, block in blocks(page):
        if kind in ("sh", "bash"):
            assert page in WHOLE, f"no test runs the blocks of {page}"
            continue
        if page == "architecture.md" or kind in NO_COMMANDS:
            continue  # a drawing
        for line in commands(block):
            found = [start for start in named if line.startswith(start)]
            assert found, f"{page}: no test is named for: {line}"
            used.update(found)
    assert used == set(named), f"{page} shows no longer: {set(named) - used}"
    for where, words in named.values():
        assert words in (TESTS / where).read_text(), f"{where} no longer has: {words}"


@pytest.mark.parametrize("page, test", WHOLE.items())
def test_a_page_that_is_run_whole_is_read_by_its_test(page, test):
    text = (TESTS / test).read_text()
    assert page in text and "```sh" in text or page == "azure.md" and page in text
    assert any(kind == "sh" for kind, _ in blocks(page))
