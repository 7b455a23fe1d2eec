/** Shapes shared by the editor's modules; types only, never loaded by the browser. */

export type Id = number | string;
export type Point = [number, number];
export type Box = [x: number, y: number, width: number, height: number];
export type SocketType = string | number | string[] | null | undefined;

/** A node as the workflow file holds it. Objects are never changed in place. */
export interface GraphNode {
  id: Id;
  type: string;
  pos: Point | Record<string, number>;
  size?: Point | Record<string, number>;
  mode?: number;
  flags?: Record<string, any>;
  inputs?: NodeInput[];
  outputs?: NodeOutput[];
  title?: string;
  color?: string;
  bgcolor?: string;
  properties?: Record<string, any>;
  widgets_values?: any[] | Record<string, any>;
  [field: string]: any;
}
export interface NodeInput {
  name: string;
  type: SocketType;
  link?: number | null;
  label?: string;
  widget?: { name: string; [field: string]: any };
  shape?: number;
  [field: string]: any;
}
export interface NodeOutput {
  name: string;
  type: SocketType;
  links?: number[] | null;
  label?: string;
  [field: string]: any;
}
export interface Link {
  id: number;
  origin_id: Id;
  origin_slot: number;
  target_id: Id;
  target_slot: number;
  type: SocketType;
  parentId?: number;
  [field: string]: any;
}
export interface Reroute {
  id: number;
  parentId?: number;
  pos: Point;
  linkIds: number[];
  [field: string]: any;
}
export interface Group {
  title: string;
  bounding: Box;
  color?: string;
  [field: string]: any;
}
/** A subgraph's fields other than its contents. */
export interface Definition {
  id: string;
  name: string;
  inputs: Port[];
  outputs: Port[];
  inputNode: { id: Id; bounding: Box; [field: string]: any };
  outputNode: { id: Id; bounding: Box; [field: string]: any };
  [field: string]: any;
}
export interface Port {
  id: string;
  name: string;
  type: SocketType;
  label?: string;
  linkIds?: number[];
  [field: string]: any;
}

export type Kind = "nodes" | "links" | "groups" | "reroutes" | "floating" | "definitions" | "head";
/** One entity gets a new value; `undefined` removes it. */
export interface Put {
  scope: string;
  kind: Kind;
  id: Id;
  value: any;
}
export interface Applied extends Put {
  before: any;
}
export interface Change {
  label: string;
  puts: Put[];
  merge?: string;
}

export interface InputSpec {
  name: string;
  type: SocketType;
  choices?: any[];
  widget: string | null;
  options: Record<string, any>;
  optional: boolean;
  hidden?: boolean;
  /** inputs that come with a choice */
  branches?: Map<string, InputSpec[]>;
  /** inputs that come one after another as they are connected */
  grows?: { min: number; max: number; at: (ordinal: number) => InputSpec[] };
  /** the widget inside the subgraph that this input of an instance feeds */
  target?: { id: string; name: string };
  /** the widget of a group node's member that this one stands for */
  inner?: { member: number; name: string };
}
export interface OutputSpec {
  name: string;
  type: SocketType;
  isList: boolean;
  tooltip?: string /** its type is that of what is connected */;
  follows?: boolean;
}
export interface Spec {
  type: string;
  title: string;
  category: string;
  description: string;
  inputs: InputSpec[];
  outputs: OutputSpec[];
  outputNode: boolean;
  deprecated: boolean;
  experimental: boolean;
  aliases: string[];
  module: string;
  virtual?: boolean;
  /** exists only in the editor and hands its first input on */
  passes?: boolean;
  definition?: Definition;
}

/** An input as shown: what the file says joined with what the spec says. */
export interface InputView {
  index: number;
  name: string;
  label: string;
  type: SocketType;
  link: number | null;
  widget: string | null;
  optional: boolean;
  shape?: number;
  spec?: InputSpec;
}
export interface OutputView {
  index: number;
  name: string;
  label: string;
  type: SocketType;
  isList: boolean;
  shape?: number;
}
/** A widget as shown. `slot` is its place in `widgets_values`. */
export interface WidgetView {
  name: string;
  label: string;
  kind: string;
  value: any;
  options: Record<string, any>;
  choices?: any[];
  control?: string;
  linked: boolean;
  spec?: InputSpec;
  /** set when the value lives on a node inside the subgraph */
  proxy?: WidgetPlace;
  /** for such a widget: the node within this subgraph and the widget it names */
  route?: { id: string; name: string };
  /** whether the instance keeps a value of its own for it */
  own?: boolean;
  /** where the rule that changes the value after a run stands, if not here */
  ruleIn?: WidgetPlace;
}
/** A widget of a node in some scope. */
export interface WidgetPlace {
  scope: string;
  id: Id;
  name: string;
}
export interface Layout {
  width: number;
  height: number;
  title: number;
  collapsed: boolean;
  inputs: Point[];
  outputs: Point[];
  widgets: { y: number; height: number }[];
  content: { y: number; height: number };
  minimum: Point;
}
export type ApiPrompt = Record<
  string,
  { class_type: string; inputs: Record<string, any>; _meta?: { title: string } }
>;
