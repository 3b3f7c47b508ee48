import * as lokahi from 'lokahi/inline'
import { golden } from './golden.js'

window.result = lokahi.init({ device: 'cpu' }).then(() => golden(lokahi, './places'))
