/** Stylesheets are imported as text, so that the compiled executable carries them. */
declare module '*.css' {
  const text: string
  export default text
}
