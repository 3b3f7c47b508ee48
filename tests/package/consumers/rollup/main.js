import * as lokahi from 'lokahi'
import { golden } from './golden.js'

window.result = lokahi.init({ device: 'cpu' }).then(() => golden(lokahi, './places'))
