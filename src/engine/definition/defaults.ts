/**
 * What a definition may leave out and gets all the same, where the default is no limit of the product.
 */

export const DEFAULT_ITEM_NAME = "item";
export const DEFAULT_INDEX_NAME = "index";
/** Times a model is asked again when its answer does not match the schema. */
export const DEFAULT_REPAIR_ATTEMPTS = 2;
