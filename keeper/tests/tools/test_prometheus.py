"""What Prometheus reads: the metrics of the golden files, and the alerts with their tests, by promtool."""
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
ALERTS = ROOT / "docs/integrations/prometheus"
GOLDEN = sorted((ROOT / "keeper/tests/view").glob("*_metrics.txt"))

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None,
                                    reason="promtool is not installed (Debian package prometheus)")


def promtool(*argv, **options):
    return subprocess.run(["promtool", *map(str, argv)], capture_output=True, text=True, timeout=60, **options)


@needs_promtool
@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.stem)
def test_promtool_accepts_the_metrics(golden):
    done = promtool("check", "metrics", input=golden.read_text())
    assert done.returncode == 0 and not done.stderr, done.stderr


@needs_promtool
def test_every_alert_fires_and_none_in_a_healthy_cluster():
    for command in (("check", "rules", ALERTS / "alerts.yml"), ("test", "rules", ALERTS / "alerts_test.yml")):
        done = promtool(*command)
        assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_a_rule_that_never_fires_is_noticed(tmp_path):
    text = (ALERTS / "alerts.yml").read_text()
    broken = text.replace("pgautofailover_monitor_up == 0", "pgautofailover_monitor_up == 2")
    assert broken != text
    (tmp_path / "alerts.yml").write_text(broken)
    shutil.copy(ALERTS / "alerts_test.yml", tmp_path)
    assert promtool("test", "rules", tmp_path / "alerts_test.yml").returncode != 0


def test_alerts_use_metrics_that_there_are():
    known = set(re.findall(r"^# TYPE (\S+)", "".join(path.read_text() for path in GOLDEN), flags=re.MULTILINE))
    for name in ("alerts.yml", "alerts_test.yml"):
        used = set(re.findall(r"pgautofailover_[a-z_]+", (ALERTS / name).read_text()))
        assert used and used <= known, used - known


def test_every_alert_has_a_test():
    alerts = re.findall(r"- alert: (\w+)", (ALERTS / "alerts.yml").read_text())
    tests = re.findall(r"^        alertname: (\w+)", (ALERTS / "alerts_test.yml").read_text(), flags=re.MULTILINE)
    assert alerts and sorted(alerts) == sorted(tests)
