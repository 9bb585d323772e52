// ACI computed a second time, with nothing but Node's own crypto: reads vectors and a field that Python has
// sealed on standard input, writes what it finds and a field of its own that Python must open.
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
  sign,
} from 'node:crypto'
import { readFileSync } from 'node:fs'

const sha256 = (data) => createHash('sha256').update(data).digest('hex')
const isObject = (value) => value !== null && typeof value === 'object'

/** RFC 8785: names in the order of their UTF-16 units, which is what JavaScript's own sort compares. */
function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (!isObject(value)) return JSON.stringify(value)
  const members = Object.keys(value).sort()
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`
}

const PKCS8 = { ed25519: '302e020100300506032b657004220420', x25519: '302e020100300506032b656e04220420' }
const SPKI = '302a300506032b656e032100'

const privateKey = (kind, seed) =>
  createPrivateKey({ key: Buffer.from(PKCS8[kind] + seed, 'hex'), format: 'der', type: 'pkcs8' })
const publicKey = (raw) =>
  createPublicKey({ key: Buffer.concat([Buffer.from(SPKI, 'hex'), raw]), format: 'der', type: 'spki' })
const rawPublic = (key) => createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
const fieldKey = (mine, theirs) => {
  const secret = diffieHellman({ privateKey: mine, publicKey: theirs })
  return Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), 'aci.e2ee.v2.x25519', 32))
}

function openField(key, hex, aad) {
  const data = Buffer.from(hex, 'hex')
  const cipher = createDecipheriv('aes-256-gcm', fieldKey(key, publicKey(data.subarray(0, 32))), data.subarray(32, 44))
  cipher.setAAD(Buffer.from(aad))
  cipher.setAuthTag(data.subarray(-16))
  return Buffer.concat([cipher.update(data.subarray(44, -16)), cipher.final()]).toString('utf8')
}

function sealField(recipient, text, aad) {
  const { privateKey: mine } = generateKeyPairSync('x25519')
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', fieldKey(mine, publicKey(recipient)), iv)
  cipher.setAAD(Buffer.from(aad))
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([rawPublic(mine), iv, sealed, cipher.getAuthTag()]).toString('hex')
}

const asked = JSON.parse(readFileSync(0, 'utf8'))
const { vectors } = asked
const [keyset, session, unsigned] = ['keyset', 'session', 'receipt_unsigned'].map((name) => JSON.parse(vectors[name]))
const digest = `sha256:${sha256(canonical(keyset))}`
const statement = canonical({ purpose: 'aci.report_data.v1', nonce: vectors.nonce, keyset_digest: digest })
const receiptKey = privateKey('ed25519', vectors.receipt_seed)
const e2eeKey = privateKey('x25519', vectors.e2ee_seed)
const { algo, model, nonce, ts, id, request_field, response_field } = vectors.e2ee
const requestAad = canonical({ purpose: 'aci.e2ee.request.v2', algo, model, nonce, ts, field: request_field })
const responseAad = canonical({ purpose: 'aci.e2ee.response.v2', algo, model, nonce, ts, id, field: response_field })

process.stdout.write(
  JSON.stringify({
    keyset: canonical(keyset),
    keyset_digest: digest,
    report_data: sha256(statement),
    session_id: sha256(canonical(session)),
    signature: sign(null, Buffer.from(canonical(unsigned)), receiptKey).toString('hex'),
    e2ee_public: rawPublic(e2eeKey).toString('hex'),
    request_aad: requestAad,
    response_aad: responseAad,
    canonical: asked.values.map(canonical),
    opened: openField(e2eeKey, asked.sealed, requestAad),
    sealed: sealField(rawPublic(e2eeKey), asked.answer, responseAad),
  }),
)
