// JWTs as an ABP backend makes them: HS256 over the ASCII key, claims under .NET's URIs.
import { createHmac } from 'node:crypto';

export const CLAIM = {
  id: 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier',
  name: 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name',
  role: 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role',
  tenant: 'http://www.aspnetboilerplate.com/identity/claims/tenantId',
};

const base64url = (value) => Buffer.from(value).toString('base64url');

/** `claims` are added to ABP's own and win over them; undefined ones are left out. */
export function abpToken({ key, id, name, issuer, audience, tenant, lifetimeSeconds = 24 * 3600, claims = {} }) {
  const now = Math.floor(Date.now() / 1000);
  const payload = {
    [CLAIM.id]: String(id),
    [CLAIM.name]: name,
    'AspNet.Identity.SecurityStamp': 'STAMP',
    [CLAIM.role]: 'User',
    ...(tenant !== undefined && { [CLAIM.tenant]: String(tenant) }),
    sub: String(id),
    jti: '00000000-0000-0000-0000-000000000001',
    iat: now,
    nbf: now,
    exp: now + lifetimeSeconds,
    iss: issuer,
    aud: audience,
    ...claims,
  };
  return signToken({ alg: 'HS256', typ: 'JWT' }, payload, key);
}

export function signToken(header, payload, key, hash = 'sha256') {
  const signed = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(payload))}`;
  return `${signed}.${createHmac(hash, key).update(signed).digest('base64url')}`;
}
