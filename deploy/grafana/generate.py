"""Writes deploy/grafana/headwater.json, the dashboard, from the panels described here: `python -m deploy.grafana.generate`.

Always true: the file in the repository is this generator's output (a test compares them), and every metric that a panel asks
for is in the service's /metrics (a test asks a real one).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)

OUTPUT = Path(__file__).with_name("headwater.json")
WIDTH = 24
HEIGHT = 8
SELECTED = '{job=~"$job", instance=~"$instance"}'
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

Query = tuple[str, str]
"""An expression and its legend. In the expression `$S` stands for the selector of the dashboard's variables."""


def target(query: Query) -> prometheus.Dataquery:
    """One query of a panel."""
    expression, legend = query
    return prometheus.Dataquery().expr(expression.replace("$S", SELECTED)).legend_format(legend).datasource(SOURCE)


def graph(title: str, description: str, unit: str, *queries: Query, span: int = 8) -> timeseries.Panel:
    """Lines over time."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .height(HEIGHT)
        .span(span)
        .line_width(1)
        .fill_opacity(8)
        .show_points(VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )
    for query in queries:
        panel = panel.with_target(target(query))
    return panel


def number(title: str, description: str, unit: str, query: Query, *steps: tuple[float | None, str]) -> stat.Panel:
    """One number, coloured from each of the steps on."""
    thresholds = [Threshold(value=value, color=color) for value, color in steps or ((None, "blue"),)]
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .height(4)
        .span(4)
        .graph_mode(BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(thresholds))
        .with_target(target(query))
    )


def overview() -> list[stat.Panel]:
    """The row of numbers at the top."""
    good_then_bad = ((None, "green"), (1, "red"))
    return [
        number(
            "Ready", "1 when every view answers", "short", ("min(headwater_ready$S)", ""), (None, "red"), (1, "green")
        ),
        number(
            "Freshness",
            "time since the last complete tick",
            "s",
            ("max(headwater_view_freshness_seconds$S)", ""),
            (None, "green"),
            (5, "orange"),
            (30, "red"),
        ),
        number("Lag", "records in Kafka not yet read", "short", ("sum(headwater_source_lag_records$S)", "")),
        number(
            "Rows read",
            "records per second",
            "cps",
            ("sum(rate(headwater_source_records_total$S[$__rate_interval]))", ""),
        ),
        number("Memory", "of the process", "bytes", ("sum(process_resident_memory_bytes$S)", "")),
        number("Rows in error", "over all views", "short", ("sum(headwater_view_errors$S)", ""), *good_then_bad),
    ]


def rate(label: str, metric: str, legend: str = "") -> Query:
    """A counter's growth per second, by label."""
    return f"sum by ({label}) (rate({metric}$S[$__rate_interval]))", legend or f"{{{{{label}}}}}"


def value(label: str, metric: str, how: str = "sum") -> Query:
    """A gauge, by label."""
    return f"{how} by ({label}) ({metric}$S)", f"{{{{{label}}}}}"


def largest(inner: str) -> Query:
    """The ten largest of an expression's operators."""
    return f"topk(10, sum by (view, operator, node) ({inner}))", "{{view}} {{operator}} {{node}}"


def per_second(metric: str) -> str:
    """A counter's growth per second over everything selected."""
    return f"sum(rate({metric}$S[$__rate_interval]))"


TICK = "headwater_tick_duration_seconds"
QUANTILE = f"histogram_quantile(%s, sum by (le) (rate({TICK}_bucket$S[$__rate_interval])))"


def sources() -> list[timeseries.Panel]:
    """What comes in."""
    states = ("headwater_source_state$S == 1", "{{source}} {{state}}")
    unreadable = rate("source", "headwater_source_errors_total")
    each = ("headwater_source_lag_records$S", "{{source}} {{partition}}")
    return [
        graph("Throughput", "records read from Kafka", "cps", rate("source", "headwater_source_records_total")),
        graph("Bytes", "bytes read from Kafka", "Bps", rate("source", "headwater_source_bytes_total")),
        graph("Lag", "records in Kafka not yet read", "short", value("source", "headwater_source_lag_records")),
        graph("Partitions", "lag of each partition", "short", each),
        graph("States", "the state that each source is in", "short", states),
        graph("Unreadable messages", "messages that are no rows, per second", "cps", unreadable),
    ]


def ticks() -> list[timeseries.Panel]:
    """How the service keeps up."""
    mean = (f"{per_second(TICK + '_sum')} / {per_second(TICK + '_count')}", "mean")
    rows = (f"{per_second('headwater_tick_rows_total')} / {per_second(TICK + '_count')}", "rows")
    return [
        graph("Tick time", "how long a tick takes", "s", (QUANTILE % 0.5, "median"), (QUANTILE % 0.99, "99 %"), mean),
        graph("Ticks", "complete ticks per second", "ops", (per_second(f"{TICK}_count"), "ticks")),
        graph("Rows per tick", "records that a tick takes from the sources", "short", rows),
    ]


def views() -> list[timeseries.Panel]:
    """What is served."""
    freshness = value("view", "headwater_view_freshness_seconds", "max")
    return [
        graph("Freshness", "time since the last complete tick", "s", freshness),
        graph("Rows", "rows of each view", "short", value("view", "headwater_view_rows")),
        graph("Errors", "rows that cannot be computed", "short", value("view", "headwater_view_errors")),
    ]


def operators() -> list[timeseries.Panel]:
    """Where time and memory go."""
    work = largest("rate(headwater_operator_seconds_total$S[$__rate_interval])")
    changes = largest("rate(headwater_operator_rows_out_total$S[$__rate_interval])")
    return [
        graph("Work", "share of a core by operator, the ten busiest", "percentunit", work),
        graph("Changes out", "rows that leave an operator, the ten largest", "cps", changes),
        graph("State", "memory by operator, the ten largest", "bytes", largest("headwater_operator_state_bytes$S")),
    ]


def sinks() -> list[timeseries.Panel]:
    """What goes out."""
    committed = rate("sink", "headwater_sink_transactions_total")
    aborted = rate("sink", "headwater_sink_aborted_total", "{{sink}} aborted")
    behind = value("sink", "headwater_sink_frontier_lag_seconds", "max")
    return [
        graph("Records", "messages in committed transactions", "cps", rate("sink", "headwater_sink_records_total")),
        graph("Transactions", "committed, and thrown away to be written again", "ops", committed, aborted),
        graph("Frontier lag", "how far a topic is behind its view", "s", behind),
        graph("Queued rows", "changes that wait to be written", "short", value("sink", "headwater_sink_queued_rows")),
        graph("States", "the state of each sink", "short", ("headwater_sink_state$S == 1", "{{sink}} {{state}}")),
    ]


def process() -> list[timeseries.Panel]:
    """What the machine gives."""
    memory = value("instance", "process_resident_memory_bytes")
    indexes = ("sum(headwater_view_state_bytes$S)", "indexes of views")
    return [
        graph("Memory", "resident, and what the indexes of views take of it", "bytes", memory, indexes),
        graph("CPU", "cores in use", "short", rate("instance", "process_cpu_seconds_total")),
        graph("Open files", "file descriptors", "short", value("instance", "process_open_fds")),
    ]


ROWS: dict[str, Callable[[], list[timeseries.Panel]]] = {
    "Sources": sources,
    "Ticks": ticks,
    "Views": views,
    "Operators": operators,
    "Sinks": sinks,
    "Process": process,
}


def variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """A choice among the values of a label."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


def text() -> str:
    """The dashboard as JSON."""
    board = (
        dashboard.Dashboard("Headwater")
        .uid("headwater")
        .description("Sources, ticks, views, operators and sinks of a Headwater service")
        .tags(["headwater"])
        .refresh("5s")
        .time("now-30m", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(variable("job", "Job", "label_values(headwater_ready, job)"))
        .with_variable(variable("instance", "Instance", 'label_values(headwater_ready{job=~"$job"}, instance)'))
    )
    for panel in overview():
        board = board.with_panel(panel)
    for title, graphs in ROWS.items():
        board = board.with_row(dashboard.Row(title))
        for each in graphs():
            board = board.with_panel(each)
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def main() -> None:
    """Write the file."""
    OUTPUT.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
