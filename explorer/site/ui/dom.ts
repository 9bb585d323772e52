// Elements without markup: what others wrote becomes text, never HTML, and an address is never a link.

export type Child = Node | string | number | null | false | readonly Child[]
type Listener = (event: Event) => unknown
type Attributes = Record<string, string | number | boolean | Listener | null>

const ATTRIBUTES =
  /^(class|id|type|name|value|for|role|tabindex|title|placeholder|accept|multiple|checked|selected|disabled|hidden|open|scope|colspan|datetime|lang|rows|inputmode|autocomplete|spellcheck|min|max|step|download|aria-[a-z]+|data-[a-z-]+)$/

/** An element. `on…` attributes are listeners; `href` may lead to a place on this page alone. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue
    if (typeof value === 'function') element.addEventListener(name.replace(/^on/, ''), value)
    else if (name === 'href') element.setAttribute('href', local(String(value)))
    else if (ATTRIBUTES.test(name)) element.setAttribute(name, value === true ? '' : String(value))
    else throw new Error(`the attribute ${name} is not allowed`)
  }
  append(element, children)
  return element
}

function local(href: string): string {
  if (!/^(#|\.\/|blob:)/.test(href)) throw new Error(`a link may not lead to ${href}`)
  return href
}

export function append(parent: Node, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null || child === false) continue
    if (Array.isArray(child)) append(parent, child)
    else parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)))
  }
}

/** Put these in the place of all that is in the element. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren()
  append(element, children)
}

const SVG = 'http://www.w3.org/2000/svg'
const DRAWN = /^(viewBox|class|x|y|x1|x2|y1|y2|width|height|d|r|cx|cy|points|transform|role|aria-[a-z]+|text-anchor)$/

/** The same for drawings. */
export function svg(
  tag: string,
  attributes: Record<string, string | number>,
  ...children: (Element | string)[]
): SVGElement {
  const element = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (!DRAWN.test(name)) throw new Error(`the attribute ${name} is not allowed`)
    element.setAttribute(name, String(value))
  }
  for (const child of children) element.append(child)
  return element
}
