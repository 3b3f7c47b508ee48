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
    ignored: '같은 예산에서는 LoKr의 약수와 r을 자동으로 고릅니다. 아래는 같은 r일 때입니다.',
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
        `d = ${d}: 두 인자가 온전하고 d가 제곱수라서 ${numbers} = 2d. 맞고, r과 상관없습니다.`,
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
  table: '같은 내용을 표로',
}
