/** Imported as text, so that the compiled executable carries them. */
declare module '*.css' {
  const text: string
  export default text
}
declare module '*/copy.js' {
  const text: string
  export default text
}
declare module '*/refresh.js' {
  const text: string
  export default text
}
declare module '*/toast.js' {
  const text: string
  export default text
}
declare module '*/policies.js' {
  const text: string
  export default text
}
declare module '*/live.js' {
  const text: string
  export default text
}
declare module 'htmx.org/dist/htmx.min.js' {
  const text: string
  export default text
}
