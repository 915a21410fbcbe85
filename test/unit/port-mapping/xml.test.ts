import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { PORT_MAPPING_LIMITS } from '../../../protocols/port-mapping/limits.ts'
import { elementsNamed, readXml, textOf } from '../../../protocols/port-mapping/xml.ts'

test('elements are found whatever their prefix, attributes and order', () => {
  const root = readXml(
    '\ufeff<?xml version="1.0"?>\n<!-- a > b --><r:root xmlns:r="x" a=">"><b/><r:b c=\'"\'> one </r:b><d><b>two</b></d></r:root>\n',
  )
  assert.ok(root)
  assert.equal(root.name, 'root')
  assert.deepEqual(
    elementsNamed(root, 'b').map(({ text }) => text),
    ['', ' one ', 'two'],
  )
  assert.equal(textOf(root, 'd'), '')
  assert.equal(textOf(root, 'e'), undefined)
})

test('the five entities, numbers and CDATA are text', () => {
  const root = readXml('<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;<![CDATA[<&amp;>]]>&nbsp;</a>')
  assert.equal(root?.text, '<&>"\'AB<&amp;>&nbsp;')
})

for (const [what, source] of Object.entries({
  'a declaration of entities': '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
  'tags that cross': '<a><b></a></b>',
  'a tag without an end': '<a><b>',
  'an end without a tag': '</a>',
  'two roots': '<a/><b/>',
  'a tag that never closes': '<a',
  'a quote that never closes': '<a b="></a>',
  'a comment that never closes': '<a><!-- </a>',
  'a name that is none': '<1 2><//>',
  'too deep': '<a>'.repeat(PORT_MAPPING_LIMITS.maxDepth + 1),
  'too many': `<a>${'<b/>'.repeat(PORT_MAPPING_LIMITS.maxElements)}</a>`,
  'too long': `<a>${' '.repeat(PORT_MAPPING_LIMITS.maxBodyBytes)}</a>`,
  nothing: '',
}))
  test(`refused: ${what}`, () => {
    assert.equal(readXml(source), undefined)
  })

test('any text is read or refused, quickly', () => {
  const piece = fc.constantFrom(
    '<',
    '>',
    '/',
    'a',
    ':',
    '"',
    "'",
    '<a>',
    '</a>',
    '<!--',
    '-->',
    '&#',
    ';',
    '<![CDATA[',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ maxLength: 300 }),
        fc.array(piece, { maxLength: 300 }).map((all) => all.join('')),
      ),
      (source) => {
        const root = readXml(source)
        assert.ok(root === undefined || typeof root.name === 'string')
      },
    ),
    { numRuns: 2_000 },
  )
})
