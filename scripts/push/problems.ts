/**
 * What the push check says: a problem fails it, a note does not.
 *
 * A problem says what happened, where, and what to do. One cause is said once, however many modules it reaches.
 */
export type Problem = {
  code: string;
  /** File (with line, where known), table, function or component. */
  where: string;
  message: string;
  fix: string;
};

export type Note = { code: string; where: string; message: string };

export class Findings {
  readonly problems: Problem[] = [];
  readonly notes: Note[] = [];
  private readonly said = new Set<string>();

  problem(code: string, where: string, message: string, fix: string): void {
    if (this.isNew(code, where, message)) this.problems.push({ code, where, message, fix });
  }

  note(code: string, where: string, message: string): void {
    if (this.isNew(code, where, message)) this.notes.push({ code, where, message });
  }

  private isNew(...parts: string[]): boolean {
    const key = JSON.stringify(parts);
    if (this.said.has(key)) return false;
    this.said.add(key);
    return true;
  }
}
