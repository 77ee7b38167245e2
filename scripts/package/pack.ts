/** The tarball that `npm publish` would upload, and what is in it. */
import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { z } from "zod";

const exec = promisify(execFile);

const MANIFEST = z.object({
  name: z.string(),
  version: z.string(),
  bin: z.record(z.string(), z.string()).default({}),
  scripts: z.record(z.string(), z.string()).default({}),
  exports: z.record(z.string(), z.unknown()),
  dependencies: z.record(z.string(), z.string()).default({}),
  peerDependencies: z.record(z.string(), z.string()).default({}),
});

export type Packed = {
  tarball: string;
  /** Bytes of the tarball. */
  size: number;
  manifest: z.infer<typeof MANIFEST>;
  /** Text by path inside the package, with `/`. */
  files: Record<string, string>;
};

/** Packs the package at `root` into the folder `into`, and reads it back. Runs no script of the package. */
export async function pack(root: string, into: string): Promise<Packed> {
  const options = ["pack", "--ignore-scripts", "--silent", "--pack-destination", into];
  const { stdout } = await exec("npm", options, { cwd: root });
  const tarball = path.join(into, stdout.trim().split("\n").at(-1) ?? "");
  const unpacked = path.join(into, "unpacked");
  await mkdir(unpacked);
  await exec("tar", ["-xzf", tarball, "-C", unpacked]);
  const files = await textsBelow(path.join(unpacked, "package"));
  const manifest = MANIFEST.parse(JSON.parse(files["package.json"] ?? "{}"));
  return { tarball, size: (await stat(tarball)).size, manifest, files };
}

async function textsBelow(dir: string): Promise<Record<string, string>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const texts = names.sort().map(async (name) => {
    const relative = path.relative(dir, name).split(path.sep).join("/");
    return [relative, await readFile(name, "utf8")] as const;
  });
  return Object.fromEntries(await Promise.all(texts));
}
