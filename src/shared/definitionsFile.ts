/** How a file of definitions says what it is. Its shape is in src/client/definitionsFile.ts, which reads it. */
export const DEFINITIONS_FILE = "shardflow.definitions";
/** Of the file around the definitions; each definition has a format of its own. */
export const DEFINITIONS_FILE_VERSION = 1;
