/**
 * The format that definitions are written in, and the way from each older one to it.
 *
 * A definition says its format in the field `format`. One without the field is of format {@link UNMARKED_FORMAT}, for
 * ever: stored sources and files in repositories keep their meaning when the current format moves on. To make a new
 * format: raise {@link CURRENT_DEFINITION_FORMAT}, and add the step from the one before to {@link MIGRATIONS}. Steps are
 * never changed and never removed, because versions of every age are stored.
 */
import type { JsonObject } from "../../shared/json.js";

export const CURRENT_DEFINITION_FORMAT = 1;
/** The format of a definition that does not say one: that of the first release. */
export const UNMARKED_FORMAT = 1;

/** One step: from a format to the next one. */
export type Migration = {
  /** The format that is read; the result is of the next one. */
  from: number;
  /** What becomes of a definition, for people: "`steps` became `nodes`". */
  describe: string;
  /**
   * Gives the definition in the next format; `format` is set by the caller. The argument was not validated and must not
   * be changed. Whatever it throws becomes a problem of the definition, with its message.
   */
  migrate: (definition: JsonObject) => JsonObject;
};

/** In order. Empty: there was no format before the first release. */
export const MIGRATIONS: readonly Migration[] = [];
