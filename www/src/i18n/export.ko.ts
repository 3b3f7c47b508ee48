import type { ExportMessages } from './export.en'

export const ko: ExportMessages = {
  copy: '복사',
  copied: '복사했습니다',
  selected: '선택했습니다. 키보드로 복사하세요.',
  forClass: '수업용 링크',
  hideParts: '뺄 부분',
  hideControls: '뺄 조절 장치',
  hideHint:
    '주소의 hide=로 뺍니다. 조절 장치마다 주소에 쓰는 이름이 있고, 아래쪽 실험실도 마찬가지입니다: hide=count,seed,lab.dice. 설정은 링크에 남아서 모두 같은 숫자를 봅니다.',
  link: '링크',
  embed: '내 페이지에 한 부분 넣기',
  embedPart: '부분',
  embedHint:
    '지금 설정으로 그 부분만 보여 줍니다. 읽는 사람의 브라우저에서 계산하고, 아무것도 보내지 않습니다.',
  frame: '프레임',
  parts: {
    play: '이름',
    inside: '어댑터 속',
    where: '계산하는 곳',
    methods: '방법마다 저장하는 것',
    products: '곱을 눈으로 보기',
    count: '숫자의 개수와 랭크',
    budget: '예산으로 얻는 것',
    smollm2: '진짜 언어 모델',
    open: '내 파일 열기',
    measure: '재기',
  },
  controls: {
    country: '나라',
    method: '방법',
    strength: '세기',
    temperature: '온도',
    seed: '시드',
    start: '이름의 첫 글자',
    weight: '가중치',
    device: '장치',
    merged: '병합',
  },
}
