/** Who a test says that it is: the identity with what Convex adds to it, and a token that says the same. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

export type GivenIdentity = Readonly<Record<string, unknown>>;
export type FullIdentity = GivenIdentity & { subject: string; issuer: string; tokenIdentifier: string };

/** Attributes of an identity whose claims have other names (the claims of OpenID Connect). */
const CLAIMS: Readonly<Record<string, string>> = {
  givenName: "given_name",
  familyName: "family_name",
  preferredUsername: "preferred_username",
  profileUrl: "profile",
  pictureUrl: "picture",
  emailVerified: "email_verified",
  birthday: "birthdate",
  timezone: "zoneinfo",
  language: "locale",
  phoneNumber: "phone_number",
  phoneNumberVerified: "phone_number_verified",
  updatedAt: "updated_at",
};

export function fullIdentity(given: GivenIdentity): FullIdentity {
  const text = (value: unknown, otherwise: string) => (typeof value === "string" ? value : otherwise);
  const subject = text(given.subject, createHash("sha256").update(JSON.stringify(given)).digest("hex").slice(0, 12));
  const issuer = text(given.issuer, "https://convex.test");
  return { ...given, subject, issuer, tokenIdentifier: text(given.tokenIdentifier, `${issuer}|${subject}`) };
}

/** Unsigned: nothing here checks it. */
export function tokenOf({ subject, issuer, tokenIdentifier: _, ...attributes }: FullIdentity): string {
  const claims = Object.entries(attributes).map(([name, value]) => [CLAIMS[name] ?? name, value] as const);
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const payload = { ...Object.fromEntries(claims), iss: issuer, sub: subject };
  return `${encode({ alg: "none", typ: "JWT" })}.${encode(payload)}.`;
}
