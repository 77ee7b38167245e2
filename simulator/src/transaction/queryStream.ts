/**
 * A query that is being read.
 *
 * Owns: which rows come out, and what of the index that puts into the read set (section 1.2). Invariants: rows are fetched
 * ahead by the page, but only those that are consumed are recorded, counted and billed; an exhausted query has read its
 * whole range.
 */
import { AFTER } from "../values/keys.js";
import { BY_CREATION_TIME, type Found, type Index, type StoredDocument, type Table } from "../store/table.js";
import { evaluateFilter, type FilterExpression } from "./filter.js";
import { rangeOf, type RangeExpression } from "./range.js";
import type { Transaction } from "./transaction.js";

export type QuerySource =
  | { type: "FullTableScan"; tableName: string; order: "asc" | "desc" | null }
  | { type: "IndexRange"; indexName: string; range: readonly RangeExpression[]; order: "asc" | "desc" | null }
  | { type: "Search" };
export type QueryOperator = { filter: FilterExpression } | { limit: number };
export type QueryJson = { source: QuerySource; operators: readonly QueryOperator[] };

const PAGE = 100;
const AFTER_KEY = "\0";

export class QueryStream {
  readonly #transaction: Transaction;
  readonly table: Table;
  readonly #index: Index;
  readonly #order: "asc" | "desc";
  readonly #operators: readonly QueryOperator[];
  readonly #left: number[];
  /** What is not read yet: [start, end). */
  #start: string;
  #end: string;
  #buffer: Found[] = [];
  #at = 0;
  #fetchedAll = false;
  #done = false;

  constructor(transaction: Transaction, table: Table, { source, operators }: QueryJson) {
    this.#transaction = transaction;
    this.table = table;
    if (source.type === "Search") throw new Error("Search indexes are not simulated.");
    this.#order = source.order ?? "asc";
    this.#operators = operators;
    this.#left = operators.map((operator) => ("limit" in operator ? operator.limit : 0));
    if (source.type === "FullTableScan") {
      this.#index = table.index(BY_CREATION_TIME) as Index;
      [this.#start, this.#end] = ["", AFTER];
    } else {
      const name = source.indexName.slice(source.indexName.indexOf(".") + 1);
      const index = table.index(name);
      if (index === undefined) throw new Error(`IndexNotFound: Index ${table.name}.${name} not found.`);
      this.#index = index;
      [this.#start, this.#end] = rangeOf(index, source.range);
    }
    if (this.#left.some((left, i) => "limit" in (operators[i] as QueryOperator) && left === 0)) this.#done = true;
    if (this.#start >= this.#end) this.#done = true;
  }

  /** The key after which a page begins, for paginate. */
  seek(key: string): void {
    if (this.#order === "asc") this.#start = key + AFTER_KEY;
    else this.#end = key;
    if (this.#start >= this.#end) this.#done = true;
  }

  /** Stops after this key, for paginate with an end cursor. */
  stopAfter(key: string): void {
    if (this.#order === "asc") this.#end = key + AFTER_KEY;
    else this.#start = key;
  }

  next(): StoredDocument | null {
    return this.nextRow()?.[1] ?? null;
  }

  nextRow(): Found | null {
    while (!this.#done) {
      const row = this.#pull();
      if (row === null) {
        this.#done = true;
        this.#transaction.record(this.#index, this.#start, this.#end);
        return null;
      }
      this.#consume(row);
      if (this.#passes(row[1])) return row;
    }
    return null;
  }

  get isDone(): boolean {
    return this.#done;
  }

  #pull(): Found | null {
    if (this.#at === this.#buffer.length) {
      if (this.#fetchedAll) return null;
      this.#fetch();
      if (this.#buffer.length === 0) return null;
    }
    return this.#buffer[this.#at++] ?? null;
  }

  #fetch(): void {
    const size = Math.min(PAGE, this.#limitLeft());
    this.#buffer = this.#transaction.page(this.table, this.#index, this.#start, this.#end, this.#order, size);
    this.#at = 0;
    this.#fetchedAll = this.#buffer.length < size;
  }

  /** Rows that a limit still lets through, where nothing stands before it. */
  #limitLeft(): number {
    const first = this.#operators[0];
    return first !== undefined && "limit" in first ? Math.max(1, this.#left[0] as number) : PAGE;
  }

  #consume([key, document]: Found): void {
    const transaction = this.#transaction;
    if (this.#order === "asc") {
      transaction.record(this.#index, this.#start, key + AFTER_KEY);
      this.#start = key + AFTER_KEY;
    } else {
      transaction.record(this.#index, key, this.#end);
      this.#end = key;
    }
    transaction.chargeRead(this.table, document, this.#index.isUserDefined ? key.length : 0);
  }

  #passes({ value }: StoredDocument): boolean {
    for (const [i, operator] of this.#operators.entries()) {
      if ("filter" in operator) {
        if (evaluateFilter(operator.filter, value) !== true) return false;
      } else {
        const left = (this.#left[i] as number) - 1;
        this.#left[i] = left;
        if (left <= 0) this.#done = true;
      }
    }
    return true;
  }
}
