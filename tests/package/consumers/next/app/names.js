'use client'

import { useEffect } from 'react'
import * as lokahi from 'lokahi'
import { golden } from '../golden.js'

export function Names() {
  useEffect(() => {
    window.result ??= lokahi.init({ device: 'cpu' }).then(() => golden(lokahi, '/places'))
  }, [])
  return null
}
