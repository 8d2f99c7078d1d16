// Types of the dashboard as JSON: those of @grafana/schema, with each enumeration replaced by its values, and the options by type of panel.
import type { AnnotationQuery, Dashboard as Whole, DataQuery, Panel, RowPanel, TableFieldOptions } from "@grafana/schema";
import type { Options as Stat } from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type { FieldConfig as StatesFields, Options as States } from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type { Options as Table } from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type { FieldConfig as LineFields, Options as Lines } from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

type Json<T> = unknown extends T ? T
  : T extends string ? `${T}`
  : T extends number | boolean | null | undefined ? T
  : T extends readonly (infer Item)[] ? Json<Item>[]
  : { [Key in keyof T]: Json<T[Key]> };

// Of the Prometheus data source, not of the schema: packages/grafana-prometheus/src/types.ts, annotations.ts.
interface Query {
  refId: string;
  expr: string;
  datasource?: { type: "prometheus"; uid: string };
  editorMode?: "code" | "builder";
  format?: "time_series" | "table" | "heatmap";
  instant?: boolean;
  range?: boolean;
  legendFormat?: string;
}
export type Annotation = Json<Omit<AnnotationQuery<DataQuery>, "target">> & { target: Query; titleFormat: string; textFormat: string; tagKeys: string };

type Of<Type extends string, Options, Fields> = Omit<Json<Panel<Record<string, unknown>, Fields>>, "type" | "options" | "targets" | "description"> & {
  type: Type;
  options: Json<Options>;
  targets: Query[];
  description: string;
};

export type Dashboard = Json<Omit<Whole, "panels" | "annotations">>;
export interface Panels {
  row: Json<RowPanel>;
  stat: Of<"stat", Stat, Record<string, never>>;
  table: Of<"table", Partial<Table>, Partial<TableFieldOptions>>;
  timeseries: Of<"timeseries", Lines, LineFields>;
  "state-timeline": Of<"state-timeline", States, StatesFields>;
}
