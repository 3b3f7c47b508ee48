// Both sides import the package: the server here, the browser in Names.
import { LokahiError } from 'lokahi'
import { Names } from './names.js'

export default function Page() {
  return (
    <main>
      <p id="server">{new LokahiError('Network', 'here').code}</p>
      <Names />
    </main>
  )
}
