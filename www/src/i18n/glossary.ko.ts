import type { GlossaryMessages } from './glossary.en'

export const ko: GlossaryMessages = {
  title: '용어',
  terms: {
    adapter: {
      name: '어댑터',
      english: 'adapter',
      text: '모델 자체의 숫자는 그대로 두고 모델이 하는 일을 바꾸는 작은 숫자 파일입니다. 바꾸는 가중치마다 변화량 ΔW가 하나씩 있습니다.',
    },
    base: {
      name: '기본 모델',
      english: 'base',
      text: '어댑터가 없는 모델입니다. 가중치가 고정되어 있어 학습해도 움직이지 않습니다.',
    },
    delta: {
      name: '변화량 ΔW',
      english: 'delta',
      text: '가중치 W 하나에 더하는 같은 크기의 행렬입니다. 인자를 곱하고 배율을 곱해 만들며, 저장할 필요가 없습니다.',
    },
    factors: {
      name: '인자',
      english: 'factors',
      text: '가중치 하나를 위해 파일에 저장하는 작은 행렬들입니다. 방법마다 다른 곱으로 ΔW를 만듭니다.',
    },
    scale: {
      name: '배율',
      english: 'scale',
      text: '인자의 곱에 곱하는 숫자 하나입니다. 보통 알파 / r입니다.',
    },
    alpha: {
      name: '알파',
      english: 'alpha',
      text: '학습할 때 정하는 값입니다. r로 나누면 배율이 되어, r을 바꾸어도 학습률을 다시 정하지 않아도 됩니다.',
    },
    strength: {
      name: '세기',
      english: 'strength',
      text: '배율 위에 얹는 내 슬라이더입니다. 0은 기본 모델, 1은 학습한 그대로입니다.',
    },
    merged: {
      name: '병합',
      english: 'merged',
      text: 'ΔW를 가중치의 사본에 더해 둔 상태라서 쓸 때 더 드는 것이 없습니다. 병합하지 않으면 가중치 옆에서 따로 계산하고, 바로 바꿔 끼울 수 있습니다.',
    },
    rank: {
      name: '랭크',
      english: 'rank',
      text: '행렬이 서로 독립된 몇 방향으로 작용하는지, 곧 0이 아닌 특잇값의 수입니다. 랭크 1 행렬은 열 하나 곱하기 행 하나입니다.',
    },
    bound: {
      name: '랭크 상한',
      english: 'rank bound',
      text: '인자의 크기가 허용하는 가장 높은 랭크입니다. 안에 어떤 숫자가 있든 넘지 못합니다.',
    },
    numerical: {
      name: '수치 랭크',
      english: 'numerical rank',
      text: '가장 큰 특잇값에 견준 문턱값을 넘는 특잇값의 수입니다. 반올림 오차보다 큰 것만 셉니다.',
    },
    stable: {
      name: '안정 랭크',
      english: 'stable rank',
      text: '‖ΔW‖² / σ₁²: 모든 특잇값의 제곱합을 가장 큰 특잇값의 제곱으로 나눈 값입니다. 문턱값이 필요 없고, 작은 특잇값이 늘어도 거의 그대로입니다.',
    },
    entropy: {
      name: '엔트로피 랭크',
      english: 'entropy rank',
      text: '비율 σ² / Σσ²의 엔트로피를 e의 지수로 올린 값입니다. 변화가 몇 방향에 퍼져 있는지 나타냅니다.',
    },
    singular: {
      name: '특잇값 σ',
      english: 'singular values',
      text: '행렬이 각 방향으로 얼마나 세게 작용하는지 큰 것부터 늘어놓은 값입니다.',
    },
    hadamard: {
      name: '아다마르 곱 ⊙',
      english: 'Hadamard product',
      text: '크기가 같은 두 행렬을 칸끼리 곱합니다. 랭크는 두 랭크의 곱을 넘지 않습니다. LoHa가 씁니다.',
    },
    kronecker: {
      name: '크로네커 곱 ⊗',
      english: 'Kronecker product',
      text: '한 행렬의 숫자마다 다른 행렬의 사본을 하나씩, 그 숫자를 곱해 깝니다. 랭크는 곱해집니다. LoKr가 씁니다.',
    },
    code: {
      name: '코드 z',
      english: 'code',
      text: '어댑터가 입력을 줄여 내려간 곳에서 얻는 몇 개의 숫자입니다. 여기서 다시 출력으로 올라갑니다.',
    },
    loss: {
      name: '손실',
      english: 'loss',
      text: '본 적 없는 이름에 모델이 얼마나 놀라는지를 토큰당 nat으로 나타낸 값, 곧 맞는 글자에 준 확률의 −ln입니다. 낮을수록 좋습니다.',
    },
    seed: {
      name: '시드',
      english: 'seed',
      text: '주사위가 시작하는 곳입니다. 같은 시드는 같은 숫자를 내고, 시드 둘을 견주면 우연이 얼마나 되는지 보입니다.',
    },
  },
}
