import { startWorker } from 'lokahi/worker'
import { golden } from './golden.js'

window.result = startWorker({ device: 'cpu' }).then((lokahi) => golden(lokahi, './places'))
