"""Write exporters/prometheus/dashboard.json: `python tools/make_dashboard.py`. The Grafana SDK ensures a valid schema."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from grafana_foundation_sdk.builders import common, prometheus, stat, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.common import BigValueGraphMode, LegendDisplayMode, StackingMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from tools.dashboard_fleet import FLEET
from tools.dashboard_host import HOST

if TYPE_CHECKING:
    from tools.dashboard_panels import Panel

FILE = Path(__file__).parents[1] / "exporters/prometheus/dashboard.json"
SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
HIDDEN = ("Time", "__name__", "job")


def text() -> str:
    """Return the dashboard as JSON, as it is committed."""
    return json.dumps(dashboard().build(), cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def dashboard() -> build.Dashboard:
    """Return the dashboard: the variables, and one row for each page."""
    page = (
        build.Dashboard("vitald")
        .uid("vitald")
        .description("A fleet of vitald agents, and one host of it. Requires the recording rules of `vitald rules`.")
        .tags(["vitald"])
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .with_variable(build.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(
            _variable("job", 'label_values(up{job=~"vitald.*"}, job)').label("fleet").include_all(include_all=True).all_value("vitald.*")
        )
        .with_variable(_variable("instance", 'label_values(up{job=~"$job"}, instance)').label("host"))
        .with_row(build.Row("Fleet"))
    )
    for panel in FLEET:
        page = page.with_panel(_panel(panel))
    page = page.with_row(build.Row("Host $instance"))
    for panel in HOST:
        page = page.with_panel(_panel(panel))
    return page


def _variable(name: str, query: str) -> build.QueryVariable:
    variable = build.QueryVariable(name).query({"query": query, "refId": name}).datasource(SOURCE)
    return variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)


def _panel(panel: Panel) -> stat.Panel | tables.Panel | timeseries.Panel:
    if panel.kind == "number":
        built: stat.Panel | tables.Panel | timeseries.Panel = _number()
    elif panel.kind == "table":
        built = _table(panel)
    else:
        built = timeseries.Panel().height(8).fill_opacity(40 if panel.kind == "stack" else 5)
        built = built.legend(common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).show_legend(show_legend=True))
        if panel.kind == "stack":
            built = built.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    built = built.title(panel.title).description(panel.description).unit(panel.unit).span(panel.width).datasource(SOURCE)
    for number, (expression, legend) in enumerate(panel.queries):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + number))
        built = built.with_target(query.instant().format(PromQueryFormat.TABLE) if panel.kind == "table" else query)
    return built


def _number() -> stat.Panel:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().graph_mode(BigValueGraphMode.AREA).reduce_options(last).height(4)


def _table(panel: Panel) -> tables.Panel:
    """Return a table without the constant columns; `instance` links to the page of that host."""
    hide = model.DataTransformerConfig(id_val="organize", options={"excludeByName": dict.fromkeys(HIDDEN, True)})
    host = build.DashboardLink("this host").url("/d/vitald?var-instance=${__value.raw}")
    link = model.DynamicConfigValue(id_val="links", value=[host.build()])
    built = tables.Panel().height(9 if panel in FLEET else 7).with_transformation(hide)
    return built.override_by_name("instance", [link])


if __name__ == "__main__":
    FILE.write_text(text())
