/**
 * The shape of the function tables.
 */
import type { Budget } from "./budget.js";
import type { Value } from "./values.js";

export type ExpressionFunction = {
  /** `both`: callable as `f(x, y)` and as `x.f(y)`; the value before the dot is the first argument. */
  readonly form: "function" | "both";
  /** Fewest and most arguments, with the value before the dot. */
  readonly min: number;
  readonly max: number;
  readonly call: (args: readonly Value[], budget: Budget) => Value;
};
export type FunctionTable = Readonly<Record<string, ExpressionFunction>>;

export function define(
  form: ExpressionFunction["form"],
  min: number,
  max: number,
  call: ExpressionFunction["call"],
): ExpressionFunction {
  return { form, min, max, call };
}
