// Bundle the site: `node build.mjs [OUT]` writes what the server serves, and verify.html, whole by itself.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const site = (...path) => join(here, 'site', ...path)
const out = process.argv[2] ?? join(here, 'proofward_explorer', 'static')

const options = {
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  legalComments: 'none',
  charset: 'ascii',
  write: false,
}
const bundled = async (entry) => {
  const { outputFiles } = await build({ ...options, entryPoints: [site(entry)] })
  return outputFiles[0].text
}
/**
 * Write a page's scripts: what only some pages need is a chunk by itself, fetched when one of them is opened. Gives the
 * chunks that the first script needs at once.
 */
const split = async (entry) => {
  const { outputFiles, metafile } = await build({
    ...options,
    entryPoints: [site(entry)],
    splitting: true,
    outdir: out,
    chunkNames: 'chunk-[hash]',
    metafile: true,
  })
  for (const { path, contents } of outputFiles) await writeFile(path, contents)
  const first = Object.values(metafile.outputs).find((one) => one.entryPoint?.endsWith(entry))
  return first.imports.filter((one) => one.kind === 'import-statement').map((one) => basename(one.path))
}
const digest = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

await rm(out, { recursive: true, force: true })
await mkdir(out, { recursive: true })

const style = await readFile(site('style.css'), 'utf8')
// In a script element only this could end it.
const script = (await bundled('verify-page.ts')).replaceAll('</script', '<\\/script')
const policy = `default-src 'none'; script-src ${digest(script)}; style-src ${digest(style)}; base-uri 'none'; form-action 'none'`
const parts = { POLICY: policy, STYLE: style, SCRIPT: script }
const page = (await readFile(site('verify.html'), 'utf8')).replace(/%(POLICY|STYLE|SCRIPT)%/g, (_, name) => parts[name])
await writeFile(join(out, 'verify.html'), page)

if (existsSync(site('app.ts'))) {
  const preloads = (await split('app.ts')).map((name) => `<link rel="modulepreload" href="./${name}">`)
  await writeFile(join(out, 'light.js'), await bundled('light-worker.ts'))
  await writeFile(join(out, 'style.css'), style)
  await writeFile(
    join(out, 'index.html'),
    (await readFile(site('index.html'), 'utf8')).replace('%PRELOADS%', preloads.join('\n')),
  )
}
