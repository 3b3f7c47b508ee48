import type { LabMessages } from './lab.en'

export const ko: LabMessages = {
  count: {
    title: '숫자의 개수와 랭크',
    lead: '가중치 하나의 변화를 저장하는 세 가지 방법입니다. 개수는 파일에 드는 숫자의 수이고, 최대 랭크는 변화가 가질 수 있는 독립된 방향의 수입니다.',
    out: '출력',
    in: '입력',
    r: 'r',
    mode: '비교 기준',
    modes: { rank: '같은 r', budget: '같은 예산' },
    budgetHint: (r) =>
      `같은 예산: LoHa가 r = ${r}일 때 LoRA는 같은 개수로 r = ${2 * r}이 되고, LoKr는 나누어떨어지는 한도에서 가장 많이 씁니다. r = 1에서는 LoRA가 앞서고, r = 2에서 같아지고, r = 3부터 LoHa가 앞섭니다.`,
    rankHint: '같은 r: LoHa는 LoRA보다 숫자를 두 배 저장합니다.',
    numbers: '개',
    sum: '텐서별로 보기',
    fewer: (times) => `가중치보다 ${times}배 적음`,
    more: '가중치만큼이거나 그보다 많음',
    highest: '최대 랭크',
    ofFull: (full) => `/ ${full}`,
    sides: '출력 = a·b, 입력 = c·d:',
  },
  factor: {
    title: 'LoKr가 가중치를 나누는 법',
    lead: '약수 하나가 각 변을 둘로 나눕니다. 가운데쯤에서 가장 적게 듭니다. 약수만 들어맞으므로 개수는 계단처럼 변합니다.',
    convention: '규칙',
    conventions: { peft: 'PEFT', lycoris: 'LyCORIS' },
    conventionHint: {
      peft: 'PEFT는 (약수, 나머지) 순서를 그대로 둡니다.',
      lycoris: 'LyCORIS는 작은 쪽을 앞에 둡니다.',
    },
    both: '첫째 인자도 나누기 (decompose_both)',
    whole: '두 인자를 모두 온전히 두기 (full_matrix, LyCORIS만)',
    auto: '−1 (가장 고르게)',
    columns: { factor: '약수', first: 'w1', second: 'w2', numbers: '개수', rank: '최대 랭크' },
    ignored:
      '같은 예산에서는 LoKr의 r을, −1이면 약수까지 자동으로 고릅니다. 아래는 같은 r일 때입니다.',
  },
  curves: {
    title: '개수와 최대 랭크',
    x: '저장하는 개수, 로그 눈금',
    y: '최대 랭크, 로그 눈금',
    full: '가중치 전체',
    other: '다른 약수의 LoKr',
    point: (method, r, numbers, bound) => `${method}, r = ${r}: ${numbers}개, 랭크 ${bound}까지`,
    long: '저장하는 개수와 최대 랭크의 로그-로그 그래프. 같은 수치가 아래 표에 있습니다.',
    hint: '왼쪽일수록 적게 들고, 위쪽일수록 높은 랭크까지 갈 수 있습니다. 상한은 점수가 아닙니다. 예산으로 얻는 것을 보세요.',
  },
  claims: {
    title: '어느 글의 주장, 하나씩 확인',
    lead: '세 방법을 비교한 널리 읽힌 글의 주장과 지금 설정의 수치입니다 (d = 출력).',
    verdicts: { right: '맞음', limits: '맞지만 한계가 있음', seldom: '특별한 경우에만 맞음' },
    attempt: '해 보기',
    example: {
      says: '1024 × 1024 가중치는 1 048 576개, 랭크 1이면 2 048개: 512배 적다.',
      check: (numbers, times) => `1024 + 1024 = ${numbers}; ${times}배 적습니다.`,
    },
    lora: {
      says: 'LoRA: 2rd개, 랭크 r까지.',
      check: (r, d, numbers, bound) => `2 × ${r} × ${d} = ${numbers}; 랭크 ${bound}까지.`,
    },
    loha: {
      says: 'LoHa: 4rd개, 랭크 r²까지.',
      check: (r, d, numbers, bound) =>
        `4 × ${r} × ${d} = ${numbers}; 랭크 min(r², d) = ${bound}까지: d를 넘지 못합니다.`,
    },
    crossover: {
      says: '랭크 2R인 LoRA와 같은 개수로 LoHa는 R²까지 간다.',
      check: 'R = 1: 1 대 2. R = 2: 4 대 4. R = 3: 9 대 6. R = 4: 16 대 8.',
    },
    kronNumbers: {
      says: 'LoKr: 2d개.',
      holds: (d, numbers) =>
        `d = ${d}: 두 인자가 온전하고 d가 제곱수라서 r과 상관없이 ${numbers} = 2d. 이때 랭크는 d까지 갈 수 있어, 온전한 랭크를 가장 적게 들여 얻습니다.`,
      fails: (d, whole, twice, now) =>
        `d = ${d}: 두 인자가 온전하면 ${whole}개인데 2d는 ${twice}; 지금 설정으로는 ${now}개.`,
    },
    kronRank: {
      says: 'LoKr: 랭크 r까지.',
      holds: (bound) => `나눈 한쪽이 1이므로 랭크는 ${bound}까지: 여기서는 맞습니다.`,
      fails: (terms, bound, r) =>
        `rank(w1 ⊗ w2) = rank(w1) × rank(w2), ${terms} = ${bound}까지. ${r}이 아닙니다.`,
    },
    memory: {
      says: '600억 개를 전체 미세 조정하려면 약 700 GB가 든다.',
      check:
        '60·10⁹ × 4바이트 × 3 (가중치, 기울기, 상태 하나) = 720 GB = 671 GiB. AdamW는 상태가 둘이라 960 GB.',
    },
  },
  propositions: {
    title: 'FedPara의 두 명제, 직접 해 보기',
    one: '명제 1: (X1 Y1ᵀ) ⊙ (X2 Y2ᵀ)의 랭크는 r1 r2를 넘지 않는다',
    oneText: (n) =>
      `까닭: 각 곱은 랭크 1 층의 합이고, 랭크 1 층 둘을 칸끼리 곱하면 다시 랭크 1이라서 층이 r1 r2개가 됩니다. 무작위 인자, ${n} × ${n}:`,
    bound: '상한',
    measured: '측정',
    sigma: (n) => `특잇값 ${n}개, 로그 눈금`,
    two: '명제 2: 상한이 같다면 r1 = r2일 때 가장 적게 든다',
    twoText: (target) =>
      `r1마다 r1 r2 ≥ ${target}인 가장 작은 r2. 막대는 (r1 + r2)(출력 + 입력)입니다.`,
    twoBar: (r1, r2, numbers) => `r1 = ${r1}, r2 = ${r2}: ${numbers}개`,
    least: '최소',
  },
  calculator: {
    title: '이전 방법들과 나란히',
    lead: '같은 r과 약수를 실제 모델의 크기에 적용해 전체 미세 조정, 병목 어댑터, 프리픽스 튜닝과 비교합니다.',
    model: '모델',
    target: '바꿀 가중치',
    targets: { qv: 'q와 v', attention: '어텐션', all: '모든 선형 층' },
    bytes: '고정된 숫자 하나',
    bytesOf: { 4: '4바이트', 2: '2바이트', 1: '1바이트', 0.5: '4비트' },
    states: '옵티마이저',
    statesOf: ['SGD', '모멘텀 SGD', 'AdamW'],
    width: '병목 너비',
    prefix: '프리픽스 길이',
    columns: {
      trained: '학습하는 개수',
      share: '모델 대비',
      memory: '학습 메모리',
      use: '쓸 때',
    },
    full: '전체 미세 조정',
    bottleneck: '병목 어댑터',
    prefixTuning: '프리픽스 튜닝',
    useFull: '늘어나는 것 없음. 작업마다 모델이 통째로 하나씩',
    useMerged: '병합하면 늘어나는 것 없음. 따로 두면 계산이 조금 늘어남',
    useBottleneck: (products, share) =>
      `토큰마다 곱셈 ${products}번이 줄줄이 늘고 읽을 숫자가 ${share} 늘어남. 병합할 수 없음`,
    usePrefix: (length, context, share) => `자리 ${context}개 중 ${length}개를 차지함 (${share})`,
    legend: { weights: '가중치', gradients: '기울기', optimiser: '옵티마이저' },
    note: '가중치, 기울기, 옵티마이저만 셌습니다. 활성값은 배치에 따라 더 듭니다. 학습하는 숫자는 4바이트로 칩니다. GB = 10⁹바이트.',
    none: '크기만 알고 층의 모양은 없습니다',
  },
  products: {
    title: '곱을 눈으로 보기',
    lead: '같은 가중치의 변화를 세 방법으로 만듭니다. LoRA는 랭크 1 층을 더하고, LoHa는 그런 합 둘을 칸끼리 곱하고, LoKr는 작은 행렬의 사본을 다른 행렬의 숫자만큼 키워 깝니다. ΔW의 칸을 가리키거나 그 안에서 화살표 키를 누르면 그 칸이 어떻게 나왔는지 보입니다.',
    source: '숫자의 출처',
    sources: { random: '주사위', adapter: '위의 어댑터', picture: '그림에 맞추기' },
    adapterOf: (country, weight) => `${country}, ${weight}: 위에서 바꿀 수 있습니다.`,
    picture: '그림',
    pictures: { face: '얼굴', plaid: '격자무늬', tiles: '타일', circle: '원', noise: '잡음' },
    size: '크기',
    dice: '주사위',
    factor: 'LoKr의 약수',
    play: '재생',
    pause: '멈춤',
    step: '한 단계',
    built: '만든 만큼',
    row: '행',
    col: '열',
    progress: {
      lora: (done, all) => `층 ${all}개 중 ${done}개`,
      loha: (done, all) => `곱마다 층 ${all}개 중 ${done}개`,
      lokr: (done, all) => `블록 ${all}개 중 ${done}개`,
    },
    layer: (k) => `층 ${k}`,
    matrix: (name, rows, cols) => `${name}, ${rows} × ${cols}, 색으로 표시`,
    pick: (method, rows, cols) =>
      `${method}: 변화량, ${rows} × ${cols}. 화살표 키로 칸을 고르면 아래에 계산이 나옵니다.`,
    factorScale: '인자',
    changeScale: 'ΔW와 그 층',
    target: '그림',
    errors: '그림에서 놓친 비율(제곱), 로그 눈금. 세 방법의 예산은 같습니다',
    fitStep: (step, all) => `${all}단계 중 ${step}단계`,
    missed: (method, numbers, percent) => `${method}, ${numbers}개: ${percent} % 놓침`,
    cut: (rows, cols) => `(앞의 ${rows}행 ${cols}열)`,
  },
  measured: {
    title: '상한과 측정한 랭크',
    lead: '위의 세 변화량을 잽니다. 문턱값을 끌어 보세요. 수치 랭크는 문턱값을 넘는 특잇값의 수이고, 나머지 둘은 문턱값이 필요 없습니다.',
    long: '세 변화량의 특잇값을 가장 큰 값에 견주어 로그 눈금으로 그린 그래프와 문턱값. 랭크는 옆의 표에 있습니다.',
    axis: (n) => `특잇값, 큰 것부터 1–${n}`,
    threshold: '문턱값',
    bound: '상한',
    numerical: '수치',
    stable: '안정',
    entropy: '엔트로피',
    means: {
      bound: '인자가 허용하는 최대',
      numerical: '문턱값을 넘는 σ의 수',
      stable: '‖ΔW‖² / σ₁²: 첫째만큼 강한 방향이 몇 개인가',
      entropy: 'σ² / Σσ²의 엔트로피를 e의 지수로: 에너지가 몇 방향에 퍼져 있는가',
    },
    how: '재는 방법',
    howText:
      'ΔW 자체는 쓰지 않습니다. LoRA: B와 A의 작은 삼각 행렬. LoHa: 층 r개의 합 둘을 칸끼리 곱하면 층 r²개의 합 하나가 되므로 LoRA처럼. LoKr: w1의 모든 σ와 w2의 모든 σ를 곱합니다.',
  },
  budget: {
    title: '예산으로 얻는 것',
    lead: '위의 지명 모델을 여러 설정으로 다시 학습했습니다. 설정마다 시드 둘로 두 번, 400단계, 조기 종료. 손실은 학습에 쓰지 않은 이름으로 쟀고, 낮을수록 좋습니다.',
    names: '지명',
    show: '보기',
    all: '모두',
    factor: (factor) => `, 약수 ${factor}`,
    x: '가로: 가중치 28개에 저장하는 개수, 로그 눈금. 세로: 검증 손실, 토큰당 nat.',
    long: '방법별로 저장하는 개수와 검증 손실을 그린 그래프. 같은 수치가 아래 표에 있습니다.',
    hint: (base) =>
      `어댑터가 없으면 손실은 ${base}입니다. 표시는 두 시드의 평균이고 가는 선이 두 시드를 잇습니다. 가리키면 수치가 나옵니다.`,
    point: (name, numbers, mean, losses, bound) =>
      `${name}: ${numbers}개, 손실 ${mean} (시드별 ${losses}); 128 × 128 가중치의 랭크 ${bound}까지.`,
    columns: {
      setting: '설정',
      numbers: '개수',
      bound: '최대 랭크, 128 × 128',
      losses: '시드별 손실',
      mean: '평균',
    },
    reading: '여기서 읽을 수 있는 것',
    readings: {
      ranks: (n2, l2, n8, l8, gain, noise) =>
        `LoRA r = 2와 r = 8: ${n2}개로 ${l2}, ${n8}개로 ${l8}. 네 배를 써서 ${gain} nat을 얻습니다. 같은 설정의 두 시드는 최대 ${noise} 다릅니다.`,
      same: (numbers, boundA, lossA, boundB, lossB) =>
        `${numbers}개일 때 LoRA(랭크 ${boundA}까지)는 ${lossA}, LoHa(랭크 ${boundB}까지)는 ${lossB}:`,
      better: (name) => `${name}가 앞섭니다.`,
      tie: (noise) => `시드 사이의 차이(${noise})보다 가까우므로 비긴 셈입니다.`,
      small: (name, numbers, loss, bound) =>
        `10 000개 아래에서 가장 좋은 것은 ${name}: ${numbers}개, ${loss}, 랭크 ${bound}까지.`,
    },
    honest:
      '상한이 높다고 점수가 좋은 것은 아닙니다. 중요한 것은 학습이 도움이 되는 변화를 찾느냐이고, 이름 몇 천 개로는 금세 바닥이 납니다. 아주 작은 모델 하나, 학습률 하나의 결과이므로 다른 과제에서는 순서가 다를 수 있습니다.',
    theirs: 'PEFT의 벤치마크',
    theirsLead:
      '저희가 아니라 PEFT가 잰 수치입니다. Llama-3.2-3B, MetaMathQA, q와 v에 어댑터, 학습률과 다른 설정이 서로 다른 한 번씩의 테스트 정확도입니다. LoHa는 상한이 1 024로 높지만 점수는 가장 낮습니다.',
    theirsLink: 'PEFT의 페이지',
    accuracy: '테스트 정확도',
  },
  table: '같은 내용을 표로',
}
