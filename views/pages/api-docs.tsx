/** @jsxRuntime classic @jsx Html.createElement @jsxFrag Html.Fragment */
import { Html } from '@elysiajs/html'
import { Layout } from '../layout.tsx'

/** As much of an OpenAPI document as the page shows. */
interface ApiDocsProps {
  document: Record<string, unknown>
}

interface Operation {
  verb: string
  path: string
  summary: string
  description: string
  parameters: string
  body: string | null
}

/** The API on one page, by subject, from the same document that tools read. */
export function ApiDocsPage({ document }: ApiDocsProps) {
  return (
    <Layout title="API" isWide>
      <h1>The Igris API</h1>
      <p class="muted">
        Send an API key of scope “full” as <code>Authorization: Bearer ig_…</code>. Answers are <code>{'{"data": …, "meta"?}'}</code>, errors{' '}
        <code>{'{"error": {"code", "message", "requestId", "issues"?}}'}</code>. For tools: <a href="/api/v1/openapi.json">openapi.json</a>.
      </p>
      {[...byTag(document)].map(([tag, operations]) => (
        <section>
          <h2 safe>{tag}</h2>
          <table>
            <thead><tr><th>Request</th><th>What it does</th></tr></thead>
            <tbody>{operations.map((operation) => <OperationRow operation={operation} />)}</tbody>
          </table>
        </section>
      ))}
    </Layout>
  )
}

function OperationRow({ operation }: { operation: Operation }) {
  return (
    <tr>
      <td><span class="verb" safe>{operation.verb}</span> <code safe>{operation.path}</code></td>
      <td>
        <div safe>{operation.summary}</div>
        <div class="muted" safe>{operation.description}</div>
        {operation.parameters === '' ? '' : <div class="muted">Parameters: <code safe>{operation.parameters}</code></div>}
        {operation.body === null ? '' : <details><summary>Body</summary><pre><code safe>{operation.body}</code></pre></details>}
      </td>
    </tr>
  )
}

function byTag(document: Record<string, unknown>): Map<string, Operation[]> {
  const tags = new Map<string, Operation[]>()
  for (const [path, verbs] of Object.entries(document.paths as Record<string, Record<string, Record<string, unknown>>>)) {
    for (const [verb, spec] of Object.entries(verbs)) {
      const tag = String((spec.tags as string[] | undefined)?.[0] ?? '')
      tags.set(tag, [...(tags.get(tag) ?? []), operationOf(verb, path, spec)])
    }
  }
  return tags
}

function operationOf(verb: string, path: string, spec: Record<string, unknown>): Operation {
  const parameters = (spec.parameters as { name: string }[] | undefined) ?? []
  const body = spec.requestBody as { content: Record<string, { schema: unknown }> } | undefined
  return {
    verb: verb.toUpperCase(),
    path,
    summary: String(spec.summary ?? ''),
    description: String(spec.description ?? ''),
    parameters: parameters.map(({ name }) => name).join(' '),
    body: body === undefined ? null : JSON.stringify(body.content['application/json']?.schema, null, 2),
  }
}
