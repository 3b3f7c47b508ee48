import type { TourMessages } from './tour.en'

export const ko: TourMessages = {
  label: '둘러보기',
  of: (at, all) => `${all}단계 중 ${at}`,
  back: '이전',
  next: '다음',
  finish: '마치기',
  leave: '나가기',
  keep: '이 설정으로 남기',
  hint: '← →나 스페이스 바로 넘깁니다. 나가면(Esc) 원래 설정으로 돌아갑니다.',
  steps: {
    play: {
      title: '작은 변화, 다른 나라',
      text: () =>
        '작은 언어 모델이 이 페이지 안에서 지명을 지어냅니다. 옆에 붙인 어댑터가 이름을 핀란드풍으로 바꿉니다. 숫자 몇 개로 바꾸었는지는 이름 아래 줄에 있고, 모델 자체는 그대로입니다. 세기를 0으로 밀었다가 되돌려 보세요.',
    },
    lora: {
      title: 'LoRA: 랭크 1 층의 합',
      text: ({ r }) =>
        `LoRA는 긴 B와 납작한 A, 두 인자를 저장합니다. B의 k번째 열과 A의 k번째 행을 곱하면 랭크 1인 층이 되고, 변화량 ΔW는 그런 층 r = ${r}개의 합이라서 랭크가 ${r}를 넘지 못합니다. 지금은 층의 절반만 있습니다. ‘만든 만큼’을 밀면 나머지가 나옵니다.`,
    },
    loha: {
      title: 'LoHa: 그런 합 둘을 칸끼리',
      text: ({ r, layers }) =>
        `LoHa는 인자를 두 쌍 저장하고 두 곱을 칸끼리 곱합니다. 각 곱은 층 ${r}개의 합이고, 한쪽의 모든 층이 다른 쪽의 모든 층과 만나며, 랭크 1인 층 둘을 칸끼리 곱하면 다시 랭크 1인 층 하나입니다. 그래서 층이 ${r} × ${r} = ${layers}개: r = ${r}로 랭크 ${layers}까지 갑니다.`,
    },
    lokr: {
      title: 'LoKr: 블록 하나의 사본들',
      text: ({ r, terms: [one, two] }) =>
        `LoKr는 작은 w1과 블록 w2를 저장하고, 여기서는 블록도 긴 행렬 곱하기 납작한 행렬입니다. w1의 숫자마다 블록의 사본 하나를 키우거나 줄이고, 랭크는 곱해집니다: ${one} × ${two} = ${one! * two!}. 그래서 w1이 두 행 두 열만 되어도 랭크가 r = ${r}보다 높아질 수 있습니다.`,
    },
    count: {
      title: '온전한 랭크의 값',
      text: ({ side, countedR, lora, loha, lokr, lohaFull }) =>
        `${side} × ${side} 가중치 하나, r = ${countedR}: LoRA는 숫자 ${lora.numbers}개로 랭크 ${lora.bound}, LoHa는 ${loha.numbers}개로 랭크 ${loha.bound}까지 갑니다. LoKr는 ${lokr.numbers}개로 온전한 랭크 ${lokr.bound}까지 가서 가장 적게 듭니다. 같은 랭크에 LoHa는 ${lohaFull.numbers}개, LoRA는 가중치 자체보다 많이 듭니다.`,
    },
    crossover: {
      title: '같은 예산: r = 2에서 비김',
      text: ({ even }) =>
        `r = ${even.r}인 LoHa는 r = ${even.loraR}인 LoRA만큼 들고, 둘 다 랭크 ${even.bound}까지 갑니다. r = 1에서는 2 대 1로 LoRA가, r = 3부터는 9 대 6으로 LoHa가 앞섭니다. r을 움직이며 최대 랭크를 보세요.`,
    },
    budget: {
      title: '숫자로 얻는 것',
      text: ({ two, eight, times, gain, noise }) =>
        `이탈리아 지명으로 학습하면 LoRA r = 2(${two.numbers}개)의 손실은 ${two.loss}, r = 8(${eight.numbers}개)은 ${eight.loss}입니다. 숫자를 ${times}배 써서 토큰당 ${gain} nat을 얻고, 같은 설정의 두 시드는 최대 ${noise} 다릅니다. 상한이 높다고 저절로 얻는 것은 없습니다. LoHa와 비교해 보세요.`,
    },
    smollm2: {
      title: '진짜 언어 모델에서도',
      text: () =>
        'SmolLM2는 영어 글을 쓰고, 어댑터 셋은 방법마다 하나씩 킹 제임스 성경의 문체를 배웠습니다. 불러오면 모델 혼자와 어댑터 셋이 나란히 씁니다. 파일이 커서 누를 때에만 받아 옵니다.',
    },
    open: {
      title: '내 파일',
      text: () =>
        '내 어댑터 파일을 열어 보세요. 무엇이 들었는지, 어느 방법으로 만들었는지, 랭크와 배율이 나옵니다. 이 페이지 안에서 읽을 뿐 올리지 않습니다.',
    },
    measure: {
      title: '여기서 재기',
      text: () =>
        '이 페이지가 말하는 속도와 정확도를 내 장치에서 직접 잴 수 있습니다. 둘러보기는 여기까지입니다. 나가면 원래 설정으로 돌아갑니다.',
    },
  },
}
